package catalog_test

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/fado-project/fado/catalog"
)

func TestParseCopies(t *testing.T) {
	for in, want := range map[string]catalog.Copies{
		"1": {N: 1}, "3": {N: 3}, "10000": {N: 10000}, "all": {All: true},
	} {
		if got, err := catalog.ParseCopies(in); err != nil || got != want {
			t.Errorf("ParseCopies(%q) = %v, %v; want %v", in, got, err, want)
		}
	}
	for _, in := range []string{"", "0", "-1", "+2", "10001", "1.5", "1e2", "ALL", "three", "99999999999999999999"} {
		want := fmt.Sprintf(`%q: expected a number from 1 to 10000 or "all"`, in)
		if got, err := catalog.ParseCopies(in); err == nil || err.Error() != want {
			t.Errorf("ParseCopies(%q) = %v, %v; want error %s", in, got, err, want)
		}
	}
}

func TestCopiesJSONRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := catalog.Copies{N: rapid.IntRange(1, catalog.MaxCopies).Draw(t, "n")}
		if rapid.Bool().Draw(t, "all") {
			want = catalog.Copies{All: true}
		}
		b, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got catalog.Copies
		if err := json.Unmarshal(b, &got); err != nil || got != want {
			t.Fatalf("%s read back as %v, %v", b, got, err)
		}
		if parsed, err := catalog.ParseCopies(want.String()); err != nil || parsed != want {
			t.Fatalf("%s parsed as %v, %v", want, parsed, err)
		}
	})
}

// A zero that was written is not a number left out, and survives a round trip, so
// that validation can refuse it.
func TestCopiesZeroIsNotTheDefault(t *testing.T) {
	var zero, null, unset catalog.Copies
	if err := json.Unmarshal([]byte("0"), &zero); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte("null"), &null); err != nil {
		t.Fatal(err)
	}
	if zero == unset || null != unset {
		t.Errorf("0 reads as %#v, null as %#v, unset is %#v", zero, null, unset)
	}
	p := &catalog.Policy{Name: "p", Copies: zero}
	p.Normalize()
	if p.Copies != zero {
		t.Errorf("normalized to %v", p.Copies)
	}
	p.Copies = null
	if p.Normalize(); p.Copies.N != 1 {
		t.Errorf("null normalized to %v, want 1", p.Copies)
	}
}

func TestParseSize(t *testing.T) {
	for in, want := range map[string]catalog.Size{
		"0": 0, "1048576": 1 << 20, "1B": 1, "500GiB": 500 << 30, "2TB": 2e12, "1.5GiB": 3 << 29,
		"1 KiB": 1024, "10kb": 10_000, "0.5MiB": 1 << 19, "8191PiB": 8191 << 50,
		"9223372036854775807": math.MaxInt64, " 7 MB ": 7e6,
	} {
		if got, err := catalog.ParseSize(in); err != nil || got != want {
			t.Errorf("ParseSize(%q) = %d, %v; want %d", in, int64(got), err, int64(want))
		}
	}
	for _, in := range []string{
		"", "GiB", "-1", "-1GiB", "+1GiB", "1.5", "1.5B", "1e3", "0x10", "1_000", "inf", "NaN", "nanGiB",
		"8192PiB", "9223372036854775808", "99999999PB", "1.2.3GiB", "5 G", "five", "1GiB1",
	} {
		want := fmt.Sprintf("%q: expected a size such as 500GiB, 2TB or a number of bytes", in)
		if got, err := catalog.ParseSize(in); err == nil || err.Error() != want {
			t.Errorf("ParseSize(%q) = %d, %v; want error %s", in, int64(got), err, want)
		}
	}
}

func TestSizeRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := catalog.Size(rapid.Int64Range(0, math.MaxInt64).Draw(t, "size"))
		if rapid.Bool().Draw(t, "round") {
			unit := rapid.SampledFrom([]catalog.Size{1e3, 1 << 10, 1e9, 1 << 30, 1e15, 1 << 50}).Draw(t, "unit")
			want -= want % unit
		}
		if got, err := catalog.ParseSize(want.String()); err != nil || got != want {
			t.Fatalf("%d written as %s read back as %d, %v", int64(want), want, int64(got), err)
		}
		b, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var fromText, fromNumber catalog.Size
		if err := json.Unmarshal(b, &fromText); err != nil || fromText != want {
			t.Fatalf("%s read back as %d, %v", b, int64(fromText), err)
		}
		if err := json.Unmarshal(fmt.Appendf(nil, "%d", int64(want)), &fromNumber); err != nil || fromNumber != want {
			t.Fatalf("the number %d read back as %d, %v", int64(want), int64(fromNumber), err)
		}
	})
}

func TestSizeText(t *testing.T) {
	for size, want := range map[catalog.Size]string{
		0: "0", 1: "1", 999: "999", 1000: "1KB", 1024: "1KiB", 1 << 30: "1GiB", 500 << 30: "500GiB", 2e12: "2TB", 1025: "1025",
	} {
		if got := size.String(); got != want {
			t.Errorf("Size(%d) = %s, want %s", int64(size), got, want)
		}
	}
}

func TestParseDuration(t *testing.T) {
	for in, want := range map[string]time.Duration{
		"10s": 10 * time.Second, "1h30m": 90 * time.Minute, "7d": 7 * 24 * time.Hour, "1.5d": 36 * time.Hour,
		"1d12h": 36 * time.Hour, "0": 0, "-5s": -5 * time.Second, "250ms": 250 * time.Millisecond,
	} {
		if got, err := catalog.ParseDuration(in); err != nil || time.Duration(got) != want {
			t.Errorf("ParseDuration(%q) = %v, %v; want %v", in, got, err, want)
		}
	}
	for _, in := range []string{
		"", "10", "d", "-1d", "+1d", "nand", "infd", "1e2d", "36501d", "36500d2540400h", "1d-5s", "1d+5s", "1dd", "1h1d", "soon",
	} {
		want := fmt.Sprintf("duration: %q: expected a duration such as 10s, 1h or 7d", in)
		if got, err := catalog.ParseDuration(in); err == nil || err.Error() != want {
			t.Errorf("ParseDuration(%q) = %v, %v; want error %s", in, got, err, want)
		}
	}
}

func TestDurationRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := catalog.Duration(rapid.Int64().Draw(t, "duration"))
		b, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got, number catalog.Duration
		if err := json.Unmarshal(b, &got); err != nil || got != want {
			t.Fatalf("%s read back as %v, %v", b, got, err)
		}
		if err := json.Unmarshal(fmt.Appendf(nil, "%d", int64(want)), &number); err != nil || number != want {
			t.Fatalf("the number %d read back as %v, %v", int64(want), number, err)
		}
	})
}

// A value that can't be read leaves what was there.
func TestUnreadableValuesChangeNothing(t *testing.T) {
	c, s, d, o := catalog.Copies{N: 2}, catalog.Size(5), catalog.Duration(7), catalog.RawObject(`{"a":1}`)
	for _, bad := range []string{`"x"`, `true`, `1.5`, `[]`} {
		for _, v := range []json.Unmarshaler{&c, &s, &d, &o} {
			if v.UnmarshalJSON([]byte(bad)) == nil {
				t.Errorf("%T took %s", v, bad)
			}
		}
	}
	if c != (catalog.Copies{N: 2}) || s != 5 || d != 7 || string(o) != `{"a":1}` {
		t.Errorf("changed to %v %v %v %s", c, s, d, o)
	}
}

func TestRawObjectIsKeptAsWritten(t *testing.T) {
	in := `{"policy": "header", "field":"X-<&>-é",  "z":1.0, "a": [1, 2]}`
	want := `{"policy":"header","field":"X-<&>-é","z":1.0,"a":[1,2]}`
	p := decode(t, catalog.KindPolicy, `{"name":"p","balance":`+in+`}`).(*catalog.Policy)
	if string(p.Balance) != want {
		t.Errorf("balance reads as %s, want %s", p.Balance, want)
	}
	b, err := catalog.EncodeResource(p)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(b), `"balance":`+want) {
		t.Errorf("balance is not written as it was read: %s", b)
	}
	var null catalog.RawObject
	if err := json.Unmarshal([]byte("null"), &null); err != nil || null != nil {
		t.Errorf("null reads as %s, %v", null, err)
	}
}
