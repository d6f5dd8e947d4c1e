package env

import (
	"fmt"
	"net/netip"
	"reflect"
	"strings"

	"github.com/callout-dev/callout/shared/action"
	"github.com/callout-dev/callout/shared/ledger"
)

// Schedule is a retry schedule that can be read from text.
type Schedule ledger.Schedule

// UnmarshalText reads CALLOUT_RETRY_SCHEDULE.
func (s *Schedule) UnmarshalText(text []byte) error {
	read, err := ledger.ParseSchedule(string(text))
	*s = Schedule(read)
	return err
}

// Instances maps request hosts, in lower case, to instances.
type Instances map[string]action.InstanceID

// UnmarshalText reads CALLOUT_INSTANCES: "host=instance,…".
func (i *Instances) UnmarshalText(text []byte) error {
	read := Instances{}
	for entry := range strings.SplitSeq(string(text), ",") {
		host, instance, ok := strings.Cut(strings.TrimSpace(entry), "=")
		if !ok || host == "" || !action.InstanceID(instance).Valid() {
			return fmt.Errorf("%q: want host=instance; an instance has letters, digits, _ and -", entry)
		}
		read[strings.ToLower(host)] = action.InstanceID(instance)
	}
	*i = read
	return nil
}

// Accounts are the accounts that may push.
type Accounts []string

// UnmarshalText reads CALLOUT_PUSH_ACCOUNTS: e-mail addresses or subjects with commas between them.
func (a *Accounts) UnmarshalText(text []byte) error {
	*a = nil
	for entry := range strings.SplitSeq(string(text), ",") {
		if entry = strings.TrimSpace(entry); entry != "" {
			*a = append(*a, entry)
		}
	}
	return nil
}

// variable is the name of the environment variable behind a field of Config.
func variable(field string) string {
	if f, ok := reflect.TypeFor[Config]().FieldByName(field); ok {
		return f.Tag.Get("env")
	}
	return field
}

// isLoopback says whether a host is this machine under a name that nobody else can claim.
func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}
