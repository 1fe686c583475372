package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// display prints the walk-through: what is done, why, and what was observed. On a
// terminal it uses colour and a line of progress that is written over.
type display struct {
	w        io.Writer
	terminal bool
	open     bool // a progress line stands
}

func newDisplay(f *os.File) *display {
	info, err := f.Stat()
	return &display{w: f, terminal: err == nil && info.Mode()&os.ModeCharDevice != 0}
}

func (d *display) style(code, s string) string {
	if !d.terminal {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

func (d *display) line(s string) {
	if d.open {
		fmt.Fprint(d.w, "\r\x1b[K")
		d.open = false
	}
	fmt.Fprintln(d.w, s)
}

// step opens a step of the walk-through.
func (d *display) step(n, of int, title, why string) {
	d.line("")
	d.line(d.style("1;36", fmt.Sprintf("[%d/%d] %s", n, of, title)))
	d.line(d.style("2", "      "+strings.ReplaceAll(why, "\n", "\n      ")))
}

// doing says what is being done now.
func (d *display) doing(format string, args ...any) {
	d.line("    → " + fmt.Sprintf(format, args...))
}

// saw says what was observed, and that it was checked.
func (d *display) saw(format string, args ...any) {
	d.line("    " + d.style("32", "✓") + " " + fmt.Sprintf(format, args...))
}

// progress shows how far something is; without a terminal it says nothing until it
// is done.
func (d *display) progress(done, total int64, what string) {
	if !d.terminal || total <= 0 {
		return
	}
	const width = 30
	n := int(min(done, total) * width / total)
	fmt.Fprintf(d.w, "\r\x1b[K      [%s%s] %s", strings.Repeat("█", n), strings.Repeat("░", width-n), what)
	d.open = true
}

func (d *display) done(steps int, took time.Duration) {
	d.line("")
	d.line(d.style("1;32", fmt.Sprintf("All %d steps held, in %.0f s.", steps, took.Seconds())))
}

// commands prints what to try while the demo stays up.
func (d *display) commands(w *world) {
	d.line(fmt.Sprintf(`
Everything stays up. Try, from another terminal:

  # an invocation that names a bucket and an object
  curl -i -H 'X-FaDO-Bucket: reports' -H 'X-FaDO-Object: q1/report-000.bin' %[1]s/summarise
  # where would it go, and why?
  curl '%[2]s/fado/route?bucket=reports&object=q1/report-000.bin'
  # where are the copies, and why there?
  curl %[2]s/fado/buckets/reports
  curl '%[2]s/fado/buckets/reports/placement'
  # move the data back to Europe and watch it go
  curl -N %[2]s/fado/events &
  curl -X PATCH %[2]s/fado/policies/reports -d '{"zones":["eu"],"copies":2}'
  # write an object at a storage with any S3 client
  AWS_ACCESS_KEY_ID=%[3]s AWS_SECRET_ACCESS_KEY=%[4]s aws --endpoint-url %[5]s s3 cp README.md s3://reports/
  # metrics
  curl -s %[2]s/metrics | grep caddy_fado

Storages: %[6]s · functions: %[7]s
Logs: %[8]s
Ctrl-C ends it and removes its data.`,
		w.fadoURL, w.adminURL, accessKey, secretKey, w.clusters[0].minio.Endpoint,
		w.list(func(c *cluster) string { return c.name + " " + c.minio.Endpoint }),
		w.list(func(c *cluster) string { return c.name + " http://" + c.fnAddr }), w.dir))
}
