package stage

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// Display prints a walk-through: what is done, why, and what was observed. On a
// terminal it uses colour and a line of progress that is written over.
type Display struct {
	w        io.Writer
	terminal bool
	open     bool // a progress line stands
}

// NewDisplay returns a display on a file or terminal.
func NewDisplay(f *os.File) *Display {
	info, err := f.Stat()
	return &Display{w: f, terminal: err == nil && info.Mode()&os.ModeCharDevice != 0}
}

func (d *Display) style(code, s string) string {
	if !d.terminal {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

// Line prints a line as it is.
func (d *Display) Line(s string) {
	if d.open {
		fmt.Fprint(d.w, "\r\x1b[K")
		d.open = false
	}
	fmt.Fprintln(d.w, s)
}

// Step opens a step of the walk-through.
func (d *Display) Step(n, of int, title, why string) {
	d.Line("")
	d.Line(d.style("1;36", fmt.Sprintf("[%d/%d] %s", n, of, title)))
	d.Line(d.style("2", "      "+strings.ReplaceAll(why, "\n", "\n      ")))
}

// Doing says what is being done now.
func (d *Display) Doing(format string, args ...any) {
	d.Line("    → " + fmt.Sprintf(format, args...))
}

// Saw says what was observed, and that it was checked.
func (d *Display) Saw(format string, args ...any) {
	d.Line("    " + d.style("32", "✓") + " " + fmt.Sprintf(format, args...))
}

// Progress shows how far something is; without a terminal it says nothing until it
// is done.
func (d *Display) Progress(done, total int64, what string) {
	if !d.terminal || total <= 0 {
		return
	}
	const width = 30
	n := int(min(done, total) * width / total)
	fmt.Fprintf(d.w, "\r\x1b[K      [%s%s] %s", strings.Repeat("█", n), strings.Repeat("░", width-n), what)
	d.open = true
}

// Finished says that every step held.
func (d *Display) Finished(steps int, took time.Duration) {
	d.Line("")
	d.Line(d.style("1;32", fmt.Sprintf("All %d steps held, in %.0f s.", steps, took.Seconds())))
}
