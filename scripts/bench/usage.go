package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of the kernel's clocks in /proc.
const tick = 10 * time.Millisecond

// usage is processor time since something began, or between two moments.
type usage struct {
	all    time.Duration // of all processors, idle or not
	ours   time.Duration // of this program and the emulator
	others time.Duration // of everybody else; the clocks differ a little, so that it may be below 0 where there is nobody
	stolen time.Duration // by the neighbours of a virtual machine
}

func (u usage) since(before usage) usage {
	return usage{u.all - before.all, u.ours - before.ours, u.others - before.others, u.stolen - before.stolen}
}

// used reads the processor time until now of the whole machine and of some processes with what they started and waited for.
func used(processes ...int) (u usage, err error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return u, fmt.Errorf("processor time is known on Linux only: %w", err)
	}
	var busy time.Duration
	if u.all, busy, u.stolen, err = machineTime(string(text)); err != nil {
		return u, err
	}
	for _, process := range processes {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", process))
		if err != nil {
			return u, err
		}
		d, err := processTime(string(text))
		if err != nil {
			return u, err
		}
		u.ours += d
	}
	u.others = busy - u.ours
	return u, nil
}

// machineTime reads the first line of /proc/stat (proc_stat(5)). Time of guests is in that of their hosts.
func machineTime(stat string) (all, busy, stolen time.Duration, err error) {
	const idle, wait, steal = 3, 4, 7
	line, _, _ := strings.Cut(stat, "\n")
	fields := strings.Fields(strings.TrimPrefix(line, "cpu "))
	if !strings.HasPrefix(line, "cpu ") || len(fields) <= steal {
		return 0, 0, 0, errors.New("/proc/stat tells no times of all processors")
	}
	var ticks [steal + 1]time.Duration
	for n := range ticks {
		if ticks[n], err = parseTicks(fields[n]); err != nil {
			return 0, 0, 0, fmt.Errorf("/proc/stat: %w", err)
		}
		all += ticks[n]
	}
	return all, all - ticks[idle] - ticks[wait] - ticks[steal], ticks[steal], nil
}

// processTime reads what a process and the children that it waited for took, in their own code and in the kernel's, out of its line in /proc
// (proc_pid_stat(5)).
func processTime(stat string) (all time.Duration, err error) {
	const own, childrenInKernel = 11, 14 // counted after the name, which may hold anything
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(fields) <= childrenInKernel {
		return 0, fmt.Errorf("/proc tells no times of a process: %q", stat)
	}
	for _, field := range fields[own : childrenInKernel+1] {
		d, err := parseTicks(field)
		if err != nil {
			return 0, fmt.Errorf("/proc: %w", err)
		}
		all += d
	}
	return all, nil
}

func parseTicks(field string) (time.Duration, error) {
	ticks, err := strconv.ParseInt(field, 10, 64)
	return time.Duration(ticks) * tick, err
}
