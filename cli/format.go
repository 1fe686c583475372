package cli

import (
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/term"
)

// bytesText is a number of bytes for people: "1.2 GB".
func bytesText(n int64) string {
	v, units := float64(n), []string{"B", "KB", "MB", "GB", "TB", "PB", "EB"}
	u := 0
	for v >= 1000 && u < len(units)-1 {
		v, u = v/1000, u+1
	}
	return strings.TrimSuffix(strconv.FormatFloat(v, 'f', 1, 64), ".0") + " " + units[u]
}

// count is a number with its noun: "1 object", "2 copies".
func count(n int64, noun string) string {
	if n != 1 {
		if stem, ok := strings.CutSuffix(noun, "y"); ok {
			noun = stem + "ies"
		} else if strings.HasSuffix(noun, "ch") {
			noun += "es"
		} else {
			noun += "s"
		}
	}
	return strconv.FormatInt(n, 10) + " " + noun
}

// secondsText is a duration for people, to a sensible precision.
func secondsText(s float64) string {
	d := time.Duration(s * float64(time.Second))
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Hour:
		return d.Round(time.Second).String()
	default:
		return strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
	}
}

// money is an amount in a currency that FaDO does not know.
func money(v float64) string { return strconv.FormatFloat(v, 'f', 2, 64) }

func joined(list []string) string {
	if len(list) == 0 {
		return "–"
	}
	return strings.Join(list, " ")
}

func orDash(s string) string {
	if s == "" {
		return "–"
	}
	return s
}

// ago tells how long before now a time was; – where it was not yet.
func ago(t, now time.Time, behind string) string {
	if t.IsZero() {
		return "–"
	}
	return secondsText(max(0, now.Sub(t).Seconds())) + behind
}

// terminal says whether a file is one that a person looks at.
func terminal(f any) bool {
	file, ok := f.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}
