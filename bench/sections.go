package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"regexp"
	"strconv"
	"time"
)

// choice runs the routing decision's own benchmarks.
func choice(ctx context.Context, e *env) (string, error) {
	args := []string{"test", "-run", "^$", "-bench", "^BenchmarkRoute", "-benchmem", "-count", "3", "./routing"}
	if e.quick {
		args = append(args, "-benchtime", "100x")
	}
	out, err := exec.CommandContext(ctx, "go", args...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return choiceTable(string(out))
}

// slowestChoice and decidingChoice are the bar for the choice itself: nanoseconds, and
// the benchmark that has to reach it (an object named, buckets spread over a million).
const (
	slowestChoice  = 300
	decidingChoice = "BenchmarkRoute/object/spread"
)

// choiceTable turns what `go test -bench` printed into the table.
func choiceTable(out string) (string, error) {
	re := regexp.MustCompile(`(?m)^(Benchmark\S+?)(?:-\d+)?\s+\d+\s+([\d.]+) ns/op.*?\s(\d+) allocs/op`)
	ns, allocs := make(map[string][]float64), make(map[string]string)
	var names []string
	for _, m := range re.FindAllStringSubmatch(out, -1) {
		v, err := strconv.ParseFloat(m[2], 64)
		if err != nil {
			return "", err
		}
		if ns[m[1]] == nil {
			names = append(names, m[1])
		}
		ns[m[1]], allocs[m[1]] = append(ns[m[1]], v), m[3]
	}
	if len(names) == 0 {
		return "", fmt.Errorf("no benchmark ran: %s", out)
	}
	var rows [][]string
	for _, n := range names {
		took, allocated := spread(ns[n], "%.0f"), allocs[n]
		if n == decidingChoice {
			took, allocated = bar(median(ns[n]) <= slowestChoice, took), bar(allocated == "0", allocated)
		}
		rows = append(rows, []string{"`" + n + "`", took, allocated})
	}
	return fmt.Sprintf("To reach, with 1,000,000 buckets × 3 copies and an object named (`%s`): ≤ %d ns, 0 allocations. "+
		"Median of 3 (lowest–highest).\n\n", decidingChoice, slowestChoice) + table([]string{"benchmark", "ns", "allocations"}, rows), nil
}

// Bars of plans, in seconds, by how many buckets move.
var slowestPlans = map[string]float64{"10000": 2, "1000000": 60}

// plans runs the benchmark of plans in which every bucket moves.
func plans(ctx context.Context, e *env) (string, error) {
	pattern := "^BenchmarkPlan$"
	if e.quick {
		pattern += "/^10000$"
	}
	args := []string{"test", "-run", "^$", "-bench", pattern, "-benchtime", "1x", "-timeout", "20m", "./document"}
	out, err := exec.CommandContext(ctx, "go", args...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return plansTable(string(out))
}

// plansTable turns what `go test -bench` printed into the table.
func plansTable(out string) (string, error) {
	re := regexp.MustCompile(`(?m)^BenchmarkPlan/(\d+?)(?:-\d+)?\s+\d+\s+(\d+) ns/op\s+([-\d.]+) live-MiB`)
	var rows [][]string
	for _, m := range re.FindAllStringSubmatch(out, -1) {
		ns, err := strconv.ParseFloat(m[2], 64)
		if err != nil {
			return "", err
		}
		most := slowestPlans[m[1]]
		rows = append(rows, []string{m[1], bar(ns/1e9 <= most, fmt.Sprintf("%.2f", ns/1e9)), fmt.Sprintf("%.0f", most), m[3]})
	}
	if len(rows) == 0 {
		return "", fmt.Errorf("no benchmark ran: %s", out)
	}
	return "A document that changes the one policy of all buckets, so that all 3 copies of each move and the primary with them; comparison and " +
		"forecast, without reading the copies from the store. What it holds at its end is what it lists, 1,000 moves.\n\n" +
		table([]string{"buckets", "seconds", "to reach", "held at its end, MiB"}, rows), nil
}

// routing compares invocations through data_aware with the same Caddy's least_conn and
// with a route per bucket, at several numbers of buckets.
func routing(ctx context.Context, e *env) (string, error) {
	rounds, each := 5, 5*time.Second
	if e.quick {
		rounds, each = 1, time.Second
	}
	var rows [][]string
	for _, n := range []int{3, 1000, 10_000} {
		r, err := e.compareRouting(ctx, n, rounds, each)
		if err != nil {
			return "", fmt.Errorf("%d buckets: %w", n, err)
		}
		rows = append(rows, r)
	}
	return fmt.Sprintf("%d connections, %d rounds of %s each, in turn; requests/s as median (lowest–highest). Every request names a "+
		"random bucket and an object; every bucket has 2 copies. To reach at 10,000 buckets: data_aware ≥ 0.97 of least_conn "+
		"(median of the ratios round by round).\n\n", connections, rounds, each) +
		table([]string{"buckets", "`data_aware`", "plain `least_conn`", "ratio", "a route per bucket", "p99 data_aware / least_conn / routes"}, rows), nil
}

func (e *env) compareRouting(ctx context.Context, n, rounds int, each time.Duration) ([]string, error) {
	store, err := e.seed(ctx, n, 2)
	if err != nil {
		return nil, err
	}
	addrs := make([]string, 3)
	for i := range addrs {
		if addrs[i], err = freeAddr(); err != nil {
			return nil, err
		}
	}
	c, err := e.startCaddy(ctx, map[string]any{"apps": map[string]any{
		"fado": e.fadoApp(store, 2),
		"http": map[string]any{"servers": map[string]any{
			"aware": site(addrs[0], dataAware()), "plain": site(addrs[1], e.leastConn()), "routes": site(addrs[2], e.routePerBucket(n)...),
		}},
	}})
	if err != nil {
		return nil, err
	}
	defer c.stop()
	var rate [3][]float64
	var p99 [3][]float64
	var ratio []float64
	for range rounds {
		for i, addr := range addrs {
			r, err := e.wrk(ctx, addr, n, each)
			if err != nil {
				return nil, err
			}
			if r.failed > 0 {
				return nil, fmt.Errorf("%d of %d requests failed at %s", r.failed, r.requests, addr)
			}
			rate[i], p99[i] = append(rate[i], r.perSecond), append(p99[i], r.p99.Seconds()*1000)
		}
		ratio = append(ratio, rate[0][len(rate[0])-1]/rate[1][len(rate[1])-1])
	}
	verdict := spread(ratio, "%.3f")
	if n == 10_000 {
		verdict = bar(median(ratio) >= 0.97, verdict)
	}
	return []string{
		strconv.Itoa(n), spread(rate[0], "%.0f"), spread(rate[1], "%.0f"), verdict, spread(rate[2], "%.0f"),
		fmt.Sprintf("%.1f / %.1f / %.1f ms", median(p99[0]), median(p99[1]), median(p99[2])),
	}, nil
}

// memory starts FaDO over a store of a million buckets and reads its resident set.
func memory(ctx context.Context, e *env) (string, error) {
	n := 1_000_000
	if e.quick {
		n = 20_000
	}
	store, err := e.seed(ctx, n, 3)
	if err != nil {
		return "", err
	}
	addr, err := freeAddr()
	if err != nil {
		return "", err
	}
	c, err := e.startCaddy(ctx, map[string]any{"apps": map[string]any{
		"fado": e.fadoApp(store, 3),
		"http": map[string]any{"servers": map[string]any{"aware": site(addr, dataAware())}},
	}})
	if err != nil {
		return "", err
	}
	defer c.stop()
	atStart, _, err := c.rss()
	if err != nil {
		return "", err
	}
	load, err := e.wrk(ctx, addr, n, 10*time.Second)
	if err != nil {
		return "", err
	}
	now, peak, err := c.rss()
	if err != nil {
		return "", err
	}
	var lat []float64
	for i := range 200 {
		d, err := e.oneChange(ctx, c, addr, i)
		if err != nil {
			return "", err
		}
		lat = append(lat, d.Seconds()*1000)
	}
	return fmt.Sprintf("%d buckets × 3 copies, loaded from the store at start. To reach: ≤ 600 MiB resident.\n\n", n) +
		table([]string{"figure", "measured"}, [][]string{
			{"start until the API answers", c.started.Round(time.Millisecond).String()},
			{"resident after start", fmt.Sprintf("%d MiB", atStart)},
			{"resident after 10 s of load, 200 changes to come", bar(now <= 600, fmt.Sprintf("%d MiB", now))},
			{"highest ever (loading included)", fmt.Sprintf("%d MiB", peak)},
			{"invocations, 32 connections", fmt.Sprintf("%.0f/s, %d failed", load.perSecond, load.failed)},
			{"a change by API, until an invocation is routed by it", spread(lat, "%.1f") + " ms"},
		}), nil
}

// oneChange changes one bucket's policy back and forth and returns how long it took
// until an invocation was routed by it.
func (e *env) oneChange(ctx context.Context, c *caddy, addr string, i int) (time.Duration, error) {
	// Policy only-c2 forbids every cluster but c2: from then on nothing else may run it.
	b, start := bucketName(i*7%1000), time.Now()
	if err := c.api(ctx, http.MethodPatch, "/fado/buckets/"+b, map[string]any{"policy": "only-c2"}, nil); err != nil {
		return 0, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/run", nil)
	if err != nil {
		return 0, err
	}
	req.Header.Set("X-FaDO-Bucket", b)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	resp.Body.Close()
	took := time.Since(start)
	if got := resp.Header.Get("X-FaDO-Cluster"); got != "c2" {
		return 0, fmt.Errorf("bucket %s may only run in c2 and ran in %q (%s)", b, got, resp.Status)
	}
	return took, c.api(ctx, http.MethodPatch, "/fado/buckets/"+b, map[string]any{"policy": "p"}, nil)
}

// changes makes 100 changes a second under full load.
func changes(ctx context.Context, e *env) (string, error) {
	n, d := 100_000, 60*time.Second
	if e.quick {
		n, d = 2_000, 3*time.Second
	}
	store, err := e.seed(ctx, n, 3)
	if err != nil {
		return "", err
	}
	addr, err := freeAddr()
	if err != nil {
		return "", err
	}
	c, err := e.startCaddy(ctx, map[string]any{"apps": map[string]any{
		"fado": e.fadoApp(store, 3),
		"http": map[string]any{"servers": map[string]any{"aware": site(addr, dataAware())}},
	}})
	if err != nil {
		return "", err
	}
	defer c.stop()
	var idle []float64
	for i := range 200 {
		took, err := e.oneChange(ctx, c, addr, i)
		if err != nil {
			return "", err
		}
		idle = append(idle, took.Seconds()*1000)
	}
	quiet, err := e.wrk(ctx, addr, n, min(d, 10*time.Second))
	if err != nil {
		return "", err
	}
	made, lat, load, err := e.changesUnderLoad(ctx, c, addr, n, d)
	if err != nil {
		return "", err
	}
	perSecond := float64(made) / d.Seconds()
	return fmt.Sprintf("%d buckets × 3 copies. To reach: a change visible to routing in ≤ 20 ms; 100 changes/s under full load "+
		"(32 connections) for %s with 0 failed requests.\n\n", n, d) +
		table([]string{"figure", "measured"}, [][]string{
			{"a change by API, until an invocation is routed by it, idle", bar(median(idle) <= 20, spread(idle, "%.1f")+" ms")},
			{"changes under load", bar(perSecond >= 99, fmt.Sprintf("%d, %.1f/s", made, perSecond))},
			{"a change's answer under load", spread(lat, "%.1f") + " ms"},
			{"requests meanwhile", fmt.Sprintf("%d, %.0f/s (without changes: %.0f/s)", load.requests, load.perSecond, quiet.perSecond)},
			{"failed requests", bar(load.failed == 0, strconv.FormatInt(load.failed, 10))},
			{"p50 / p99 of requests", fmt.Sprintf("%.1f / %.1f ms", load.p50.Seconds()*1000, load.p99.Seconds()*1000)},
		}), nil
}

func (e *env) changesUnderLoad(ctx context.Context, c *caddy, addr string, n int, d time.Duration) (made int, lat []float64, load wrkResult, err error) {
	type outcome struct {
		r   wrkResult
		err error
	}
	done := make(chan outcome, 1)
	go func() {
		r, err := e.wrk(ctx, addr, n, d)
		done <- outcome{r, err}
	}()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	// Several clients, as several operators or controllers would be: one that waits
	// for its answer does not hold up the next change.
	work, answers := make(chan int, 1), make(chan answer, changers)
	for range changers {
		go func() {
			for i := range work {
				start := time.Now()
				err := c.api(ctx, http.MethodPatch, "/fado/buckets/"+bucketName(i%n), map[string]any{"policy": policies[i/n%2]}, nil)
				answers <- answer{time.Since(start).Seconds() * 1000, err}
			}
		}()
	}
	defer close(work)
	for {
		select {
		case o := <-done:
			if len(lat) == 0 {
				o.err = errors.Join(o.err, errors.New("no change was made"))
			}
			return len(lat), lat, o.r, o.err
		case a := <-answers:
			if a.err != nil {
				return len(lat), lat, wrkResult{}, fmt.Errorf("a change under load: %w", a.err)
			}
			lat = append(lat, a.ms)
		case <-tick.C:
			select {
			case work <- made:
				made++
			default: // all clients wait: the rate is missed, and the table says so
			}
		}
	}
}

// changers is how many clients change the catalogue.
const changers = 8

// policies alternate, so that every change is one.
var policies = []string{"only-c2", "p"}

// answer is that of one change.
type answer struct {
	ms  float64
	err error
}
