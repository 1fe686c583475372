package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// A printer writes what a command says: JSON for programs; for people lines and tables, as wide and
// as coloured as what they look at allows. It knows nobody to ask.
type printer struct{ w io.Writer }

// print prints v as JSON.
func (out printer) print(v any) error {
	enc := json.NewEncoder(out.w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// say prints lines for people.
func (out printer) say(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	_, _ = fmt.Fprintln(out.w, strings.TrimRight(text, "\n")) // a reader that is gone wants no more
}

// tell prints a table for people.
func (out printer) tell(t *table) { out.say("%s", t.within(out.columns())) }

// columns is how wide lines may be: as wide as the terminal where there is one, and never wider
// than maxColumns.
func (out printer) columns() int {
	if f, ok := out.w.(*os.File); ok {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil {
			return min(max(width, minColumns), maxColumns)
		}
	}
	return maxColumns
}

// The colours of a terminal (ECMA-48, SGR).
const (
	red    = "31"
	green  = "32"
	yellow = "33"
)

// colour colours a text where the output is a terminal and NO_COLOR is not set
// (https://no-color.org).
func (out printer) colour(code, text string) string {
	if os.Getenv("NO_COLOR") != "" || !terminal(out.w) {
		return text
	}
	return fmt.Sprintf("\x1b[%sm%s\x1b[0m", code, text)
}
