package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// connections is how many clients there are at a time.
const connections = 32

// wrkScript names another bucket and object with every request.
const wrkScript = `
local n = %d
local reqs = {}
init = function(args)
  math.randomseed(os.time())
  for i = 1, 2000 do
    local b = string.format("bucket-%%07d", math.random(0, n - 1))
    reqs[i] = wrk.format("GET", "/run", {["X-FaDO-Bucket"] = b, ["X-FaDO-Object"] = "dir/object-" .. i})
  end
end
local at = 0
request = function()
  at = at %% 2000 + 1
  return reqs[at]
end
` + wrkDone

// wrkDone prints what runWrk reads.
const wrkDone = `
done = function(summary, latency, requests)
  io.write(string.format("RESULT %%d %%d %%d %%d %%d %%d\n", summary.requests, summary.duration,
    summary.errors.status, summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout,
    latency:percentile(50), latency:percentile(99)))
end
`

// wrkResult is what one run of wrk measured.
type wrkResult struct {
	perSecond float64
	requests  int64
	failed    int64 // not 2xx or 3xx, or no answer
	p50, p99  time.Duration
}

var wrkLine = regexp.MustCompile(`RESULT (\d+) (\d+) (\d+) (\d+) (\d+) (\d+)`)

// wrk loads a URL for a while with requests that name one of n buckets.
func (e *env) wrk(ctx context.Context, addr string, n int, d time.Duration) (wrkResult, error) {
	return e.runWrk(ctx, addr, fmt.Sprintf(wrkScript, n), connections, d)
}

// runWrk loads a server for a while as a script says.
func (e *env) runWrk(ctx context.Context, addr, text string, clients int, d time.Duration) (wrkResult, error) {
	script := filepath.Join(e.dir, "wrk.lua")
	if err := os.WriteFile(script, []byte(text), 0o600); err != nil {
		return wrkResult{}, err
	}
	cmd := exec.CommandContext(ctx, "wrk", "-t1", "-c", strconv.Itoa(clients), "-d", fmt.Sprintf("%ds", int(d.Seconds())), "-s", script, "http://"+addr)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return wrkResult{}, fmt.Errorf("wrk: %w: %s", err, out)
	}
	m := wrkLine.FindStringSubmatch(string(out))
	if m == nil {
		return wrkResult{}, fmt.Errorf("wrk printed no result: %s", out)
	}
	var f [6]int64
	for i := range f {
		if f[i], err = strconv.ParseInt(m[i+1], 10, 64); err != nil {
			return wrkResult{}, err
		}
	}
	return wrkResult{
		perSecond: float64(f[0]) / (float64(f[1]) / 1e6), requests: f[0], failed: f[2] + f[3],
		p50: time.Duration(f[4]) * time.Microsecond, p99: time.Duration(f[5]) * time.Microsecond,
	}, nil
}

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	if len(s) == 0 {
		return 0
	}
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

// spread formats a median with its extremes.
func spread(v []float64, format string) string {
	return fmt.Sprintf(format+" ("+format+"–"+format+")", median(v), slices.Min(v), slices.Max(v))
}

// table formats rows as Markdown.
func table(head []string, rows [][]string) string {
	var b strings.Builder
	line := func(cells []string) { b.WriteString("| " + strings.Join(cells, " | ") + " |\n") }
	line(head)
	line(slices.Repeat([]string{"---"}, len(head)))
	for _, r := range rows {
		line(r)
	}
	return b.String()
}
