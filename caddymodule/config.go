package caddymodule

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/replication"
)

// What the replication options may be.
const (
	maxWorkers      = 1000
	minScanInterval = 100 * time.Millisecond
)

// The values of event_feed.
const (
	eventFeedAuto = "auto"
	eventFeedOff  = "off"
)

// Replication tunes how copies are made and kept.
type Replication struct {
	// Whether this instance only routes and serves, and copies nothing.
	// Default: false.
	Disabled bool `json:"disabled,omitempty"`
	// How many objects are copied at a time. Default: 32.
	Workers int `json:"workers,omitempty"`
	// The most bytes this instance copies per second, for example "200MiB" or a
	// number. Default: unlimited.
	Bandwidth catalog.Size `json:"bandwidth,omitempty"`
	// How often every bucket is compared with its copies, jittered. Default: 6h.
	ScanInterval catalog.Duration `json:"scan_interval,omitempty"`
	// Whether storages that tell changes as they happen (MinIO) are listened to:
	// "auto" or "off". Default: auto.
	EventFeed string `json:"event_feed,omitempty"`
	// The deletes applied to one copy within ten minutes above which the rest are
	// held for a person to decide: "1000", "10%" (of the copy's objects), or
	// "1000 10%" for more than both. Default: "1000 10%".
	MaxDeletes MaxDeletes `json:"max_deletes,omitzero"`
	// How long requests in flight at a copy that leaves get to end. Default: 30s.
	DrainTimeout catalog.Duration `json:"drain_timeout,omitempty"`
	// How often every bucket is verified in the background, jittered. Default: 7d.
	VerifyInterval catalog.Duration `json:"verify_interval,omitempty"`
	// Whether the background verification reads the bytes of all objects again, too, and
	// not only the listings. Default: false.
	VerifyDeep bool `json:"verify_deep,omitempty"`
}

// validate names every option that is out of its range.
func (r *Replication) validate() error {
	if r == nil {
		return nil
	}
	var errs []error
	expect := func(ok bool, field, value, expected string) {
		if !ok {
			errs = append(errs, fmt.Errorf("replication.%s: %q: expected %s", field, value, expected))
		}
	}
	expect(r.Workers >= 0 && r.Workers <= maxWorkers, "workers", strconv.Itoa(r.Workers), fmt.Sprintf("a number from 1 to %d", maxWorkers))
	expect(r.Bandwidth >= 0, "bandwidth", r.Bandwidth.String(), "a rate above 0 such as 200MiB")
	expect(r.ScanInterval == 0 || time.Duration(r.ScanInterval) >= minScanInterval, "scan_interval", r.ScanInterval.String(), "a duration of at least "+minScanInterval.String())
	expect(r.EventFeed == "" || r.EventFeed == eventFeedAuto || r.EventFeed == eventFeedOff, "event_feed", r.EventFeed, `"auto" or "off"`)
	expect(r.VerifyInterval == 0 || time.Duration(r.VerifyInterval) >= minScanInterval, "verify_interval", r.VerifyInterval.String(), "a duration of at least "+minScanInterval.String())
	expect(r.DrainTimeout >= 0, "drain_timeout", r.DrainTimeout.String(), "a duration above 0")
	return errors.Join(errs...)
}

// settings gives the engine's form; what is left out is the engine's default.
func (r *Replication) settings() replication.Settings {
	if r == nil {
		return replication.Settings{}
	}
	return replication.Settings{
		Disabled:     r.Disabled,
		Workers:      r.Workers,
		Bandwidth:    int64(r.Bandwidth),
		ScanInterval: time.Duration(r.ScanInterval),
		NoEventFeed:  r.EventFeed == eventFeedOff,
		MaxDeletes:   replication.MaxDeletes(r.MaxDeletes),
		DrainTimeout: time.Duration(r.DrainTimeout),

		VerifyInterval: time.Duration(r.VerifyInterval),
		VerifyDeep:     r.VerifyDeep,
	}
}

// MaxDeletes are the bounds of the delete-storm breaker; a bound of 0 is not given.
type MaxDeletes replication.MaxDeletes

const maxDeletesExpected = "<n>, <percent> or <n> <percent>, such as 1000, 10% or 1000 10%"

// ParseMaxDeletes reads "1000", "10%" or "1000 10%".
func ParseMaxDeletes(s string) (MaxDeletes, error) {
	var m MaxDeletes
	fields := strings.Fields(s)
	ok := len(fields) == 1 || len(fields) == 2
	for i, f := range fields {
		if percent, isPercent := strings.CutSuffix(f, "%"); isPercent {
			v, err := strconv.ParseFloat(percent, 64)
			ok = ok && err == nil && v > 0 && v <= 100 && i == len(fields)-1
			m.Percent = v
			continue
		}
		n, err := strconv.ParseInt(f, 10, 64)
		ok = ok && err == nil && n > 0 && i == 0
		m.Objects = n
	}
	if !ok {
		return MaxDeletes{}, fmt.Errorf("%q: expected %s", s, maxDeletesExpected)
	}
	return m, nil
}

// String returns the form ParseMaxDeletes reads.
func (m MaxDeletes) String() string {
	var parts []string
	if m.Objects > 0 {
		parts = append(parts, strconv.FormatInt(m.Objects, 10))
	}
	if m.Percent > 0 {
		parts = append(parts, strconv.FormatFloat(m.Percent, 'g', -1, 64)+"%")
	}
	return strings.Join(parts, " ")
}

// MarshalJSON gives the text form.
func (m MaxDeletes) MarshalJSON() ([]byte, error) { return json.Marshal(m.String()) }

// UnmarshalJSON takes the text form or a number of objects.
func (m *MaxDeletes) UnmarshalJSON(b []byte) error {
	text := string(b)
	if text == "null" {
		*m = MaxDeletes{}
		return nil
	}
	if len(b) > 0 && b[0] == '"' {
		if err := json.Unmarshal(b, &text); err != nil {
			return err
		}
	}
	v, err := ParseMaxDeletes(text)
	if err != nil {
		return fmt.Errorf("max_deletes: %w", err)
	}
	*m = v
	return nil
}
