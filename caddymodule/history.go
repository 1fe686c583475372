package caddymodule

import (
	"errors"
	"fmt"
	"time"

	"github.com/fado-project/fado/catalog"
)

// What the history is where nothing is said.
const (
	defaultHistoryKeep     = 24 * time.Hour
	defaultHistoryInterval = 10 * time.Second
	defaultHistoryMemory   = 16 << 20
	// maxHistoryValues bounds the values of a series.
	maxHistoryValues = 100_000
)

// History says what is kept of what was measured, for the console.
type History struct {
	// Whether nothing is kept. Default: false.
	Disabled bool `json:"disabled,omitempty"`
	// For how long values are kept. Default: 24h.
	Keep catalog.Duration `json:"keep,omitempty"`
	// The time between two values. Default: 10s.
	Interval catalog.Duration `json:"interval,omitempty"`
	// The memory it may take. Default: 16MiB.
	Memory catalog.Size `json:"memory,omitempty"`
}

// historySettings are the values in force; the zero value keeps nothing.
type historySettings struct {
	keep, interval time.Duration
	memory         int64
}

func (h *History) settings() historySettings {
	s := historySettings{defaultHistoryKeep, defaultHistoryInterval, defaultHistoryMemory}
	switch {
	case h == nil:
		return s
	case h.Disabled:
		return historySettings{}
	}
	if h.Keep != 0 {
		s.keep = time.Duration(h.Keep)
	}
	if h.Interval != 0 {
		s.interval = time.Duration(h.Interval)
	}
	if h.Memory != 0 {
		s.memory = int64(h.Memory)
	}
	return s
}

// validate names what is out of its range.
func (h *History) validate() error {
	if h == nil {
		return nil
	}
	if h.Disabled {
		if h.Keep != 0 || h.Interval != 0 || h.Memory != 0 {
			return errors.New("history: expected nothing else where history.disabled is true")
		}
		return nil
	}
	s := h.settings()
	var errs []error
	if s.interval < time.Second {
		errs = append(errs, fmt.Errorf("history.interval: %q: expected a duration of at least 1s", h.Interval))
	}
	if s.keep < s.interval || s.interval > 0 && s.keep/s.interval > maxHistoryValues {
		errs = append(errs, fmt.Errorf("history.keep: %q: expected a duration of 1 to %d intervals", h.Keep, maxHistoryValues))
	}
	if s.memory < 0 {
		errs = append(errs, fmt.Errorf("history.memory: %q: expected a size above 0 such as 16MiB", h.Memory))
	}
	return errors.Join(errs...)
}
