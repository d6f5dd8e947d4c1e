package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/callout-dev/callout/shared/signature"
)

// entry is a line of the log.
type entry struct {
	// ID is the webhook-id, the same however often a call is repeated.
	ID      string          `json:"id"`
	Written time.Time       `json:"written"`
	Call    json.RawMessage `json:"call"`
}

// auditLog is a file of entries, and the ids of those in it.
type auditLog struct {
	mu   sync.Mutex
	file *os.File
	size int64
	ids  map[string]bool
}

// openLog reads what is in the file already. Half an entry at its end, which a crash has left, goes: it was not acknowledged, and comes
// again.
func openLog(path string) (*auditLog, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	l := &auditLog{file: file, ids: map[string]bool{}}
	entries := json.NewDecoder(file)
	for {
		var e entry
		err := entries.Decode(&e)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			break
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("%s: %w", path, err), file.Close())
		}
		l.ids[e.ID] = true
	}
	l.size = entries.InputOffset()
	err = file.Truncate(l.size)
	if err == nil && l.size > 0 {
		err = l.write([]byte("\n"))
	}
	return l, err
}

// take writes a call once: it is on the disk when it is acknowledged. What fails is tried again by Callout.
func (l *auditLog) take(w http.ResponseWriter, r *http.Request, body []byte) {
	if err := l.append(entry{ID: r.Header.Get(signature.HeaderID), Written: time.Now(), Call: body}); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

func (l *auditLog) append(e entry) error {
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ids[e.ID] {
		return nil
	}
	if err := l.write(append(line, '\n')); err != nil {
		return err
	}
	l.ids[e.ID] = true
	return nil
}

// write puts text on the disk, or nothing.
func (l *auditLog) write(text []byte) error {
	_, err := l.file.Write(text)
	if err == nil {
		err = l.file.Sync()
	}
	if err != nil {
		return errors.Join(err, l.file.Truncate(l.size))
	}
	l.size += int64(len(text))
	return nil
}
