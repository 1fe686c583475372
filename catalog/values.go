package catalog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// MaxCopies is the largest number of copies a policy may ask for.
const MaxCopies = 10_000

// What the values of this file look like, for errors.
const (
	wantCopies   = `a number from 1 to 10000 or "all"`
	wantSize     = "a size such as 500GiB, 2TB or a number of bytes"
	wantDuration = "a duration such as 10s, 1h or 7d"
	wantTime     = "a time such as 2027-01-31T00:00:00Z (RFC 3339)"
)

// Copies is a number of copies, or all clusters that are allowed. The zero value
// stands for "not said", which Normalize turns into 1.
type Copies struct {
	N   int  // when not All
	All bool // a copy in every allowed cluster

	// zero tells a 0 that was written from a number left out, so that it becomes an
	// error and not the default.
	zero bool
}

// ParseCopies reads "3" or "all".
func ParseCopies(s string) (Copies, error) {
	if s == "all" {
		return Copies{All: true}, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > MaxCopies || s[0] == '+' {
		return Copies{}, fmt.Errorf("%q: expected %s", s, wantCopies)
	}
	return Copies{N: n}, nil
}

// String returns the form ParseCopies reads.
func (c Copies) String() string {
	if c.All {
		return "all"
	}
	return strconv.Itoa(c.N)
}

// MarshalJSON gives a number or "all".
func (c Copies) MarshalJSON() ([]byte, error) {
	if c.All {
		return []byte(`"all"`), nil
	}
	return strconv.AppendInt(nil, int64(c.N), 10), nil
}

// UnmarshalJSON takes a number or "all"; null is the same as leaving it out. The
// range is validation's business, so that a number out of it is reported beside
// every other violation.
func (c *Copies) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		*c = Copies{}
		return nil
	}
	if string(b) == `"all"` {
		*c = Copies{All: true}
		return nil
	}
	n, err := strconv.Atoi(string(b))
	if err != nil {
		return fmt.Errorf("copies: %s: expected %s", b, wantCopies)
	}
	*c = Copies{N: n, zero: n == 0}
	return nil
}

// Size is a number of bytes.
type Size int64

var sizeUnits = []struct {
	suffix string
	bytes  int64
}{
	{"KiB", 1 << 10},
	{"MiB", 1 << 20},
	{"GiB", 1 << 30},
	{"TiB", 1 << 40},
	{"PiB", 1 << 50},
	{"KB", 1e3},
	{"MB", 1e6},
	{"GB", 1e9},
	{"TB", 1e12},
	{"PB", 1e15},
	{"B", 1},
}

// ParseSize reads a size such as 500GiB, 2TB, 1.5GiB or 1048576 (bytes).
func ParseSize(s string) (Size, error) {
	num, factor := strings.TrimSpace(s), int64(1)
	for _, u := range sizeUnits {
		if len(num) > len(u.suffix) && strings.EqualFold(num[len(num)-len(u.suffix):], u.suffix) {
			num, factor = strings.TrimSpace(num[:len(num)-len(u.suffix)]), u.bytes
			break
		}
	}
	bad := fmt.Errorf("%q: expected %s", s, wantSize)
	if !isDecimal(num) {
		return 0, bad
	}
	if n, err := strconv.ParseInt(num, 10, 64); err == nil {
		if n > math.MaxInt64/factor {
			return 0, bad
		}
		return Size(n * factor), nil
	}
	f, err := strconv.ParseFloat(num, 64)
	if err != nil || factor == 1 || f*float64(factor) >= math.MaxInt64 {
		return 0, bad
	}
	return Size(f * float64(factor)), nil
}

// isDecimal says that s has nothing in it but digits and points: strconv also
// takes signs, exponents, hexadecimal, "inf" and "nan".
func isDecimal(s string) bool { return strings.Trim(s, "0123456789.") == "" }

// String returns the shortest form that ParseSize reads back to the same value.
func (s Size) String() string {
	best := strconv.FormatInt(int64(s), 10)
	for _, u := range sizeUnits {
		if s > 0 && int64(s)%u.bytes == 0 {
			if c := strconv.FormatInt(int64(s)/u.bytes, 10) + u.suffix; len(c) <= len(best) {
				best = c
			}
		}
	}
	return best
}

// MarshalJSON gives the string form.
func (s Size) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }

// UnmarshalJSON takes the string form or a number of bytes.
func (s *Size) UnmarshalJSON(b []byte) error {
	text := string(b)
	if text == "null" {
		*s = 0
		return nil
	}
	if len(b) > 0 && b[0] == '"' {
		if err := json.Unmarshal(b, &text); err != nil {
			return err
		}
	}
	v, err := ParseSize(text)
	if err != nil {
		return fmt.Errorf("size: %w", err)
	}
	*s = v
	return nil
}

// Duration is a time.Duration that reads and writes as text ("10s") in JSON, and
// also takes a number of nanoseconds, as Caddy's durations do.
type Duration time.Duration

// String returns the text form.
func (d Duration) String() string { return time.Duration(d).String() }

// MarshalJSON gives the text form.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(d.String()) }

// UnmarshalJSON takes text or a number of nanoseconds.
func (d *Duration) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		*d = 0
		return nil
	}
	if len(b) > 0 && b[0] == '"' {
		var text string
		if err := json.Unmarshal(b, &text); err != nil {
			return err
		}
		v, err := ParseDuration(text)
		if err == nil {
			*d = v
		}
		return err
	}
	n, err := strconv.ParseInt(string(b), 10, 64)
	if err != nil {
		return fmt.Errorf("duration: %s: expected %s", b, wantDuration)
	}
	*d = Duration(n)
	return nil
}

// maxDays bounds the days of a duration: a hundred years.
const maxDays = 36500

// ParseDuration reads Go's duration syntax, and d for days of 24 hours: 7d, 1.5d,
// 1d12h.
func ParseDuration(s string) (Duration, error) {
	bad := fmt.Errorf("duration: %q: expected %s", s, wantDuration)
	text, days := s, time.Duration(0)
	if number, rest, ok := strings.Cut(s, "d"); ok {
		n, err := strconv.ParseFloat(number, 64)
		if err != nil || !isDecimal(number) || n > maxDays {
			return 0, bad
		}
		days, text = time.Duration(n*24*float64(time.Hour)), rest
		if text == "" {
			return Duration(days), nil
		}
		if text[0] == '-' || text[0] == '+' {
			return 0, bad
		}
	}
	v, err := time.ParseDuration(text)
	if err != nil || v > math.MaxInt64-days {
		return 0, bad
	}
	return Duration(v + days), nil
}

// RawObject is a JSON object kept as it was written, compacted.
type RawObject []byte

// MarshalJSON gives the object.
func (o RawObject) MarshalJSON() ([]byte, error) {
	if len(o) == 0 {
		return []byte("null"), nil
	}
	return o, nil
}

// UnmarshalJSON takes an object or null.
func (o *RawObject) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		*o = nil
		return nil
	}
	if len(b) == 0 || b[0] != '{' {
		return errors.New("expected a JSON object")
	}
	var buf bytes.Buffer
	if err := json.Compact(&buf, b); err != nil {
		return err
	}
	*o = buf.Bytes()
	return nil
}
