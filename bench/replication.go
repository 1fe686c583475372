package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/minio/minio-go/v7"
)

// dataset is what is copied.
type dataset struct {
	bucket  string
	count   int
	size    int64
	streams int // of the bare copier
	rounds  int
}

func (d dataset) key(i int) string { return fmt.Sprintf("dir%02d/object-%05d", i%50, i) }

func (d dataset) keys() []string {
	keys := make([]string, d.count)
	for i := range keys {
		keys[i] = d.key(i)
	}
	return keys
}

func (d dataset) String() string {
	size := strconv.FormatInt(d.size>>10, 10) + " KiB"
	if d.size >= 1<<20 {
		size = strconv.FormatInt(d.size>>20, 10) + " MiB"
	}
	return fmt.Sprintf("%d × %s", d.count, size)
}

const (
	// largeEnv leaves the 2 GiB object out where disk or time is short.
	largeEnv = "FADO_BENCH_LARGE"
	// setsEnv names the data sets to copy, separated by commas; lag alone is none of them.
	setsEnv = "FADO_BENCH_SETS"
)

func (e *env) datasets() []dataset {
	sets := []dataset{
		{bucket: "small", count: 10_000, size: 4 << 10, streams: 32, rounds: 3},
		{bucket: "medium", count: 40, size: 64 << 20, streams: 8, rounds: 3},
		{bucket: "large", count: 1, size: 2 << 30, streams: 8, rounds: 2},
	}
	if e.quick {
		sets = []dataset{
			{bucket: "small", count: 300, size: 4 << 10, streams: 32, rounds: 1},
			{bucket: "medium", count: 4, size: 64 << 20, streams: 8, rounds: 1},
		}
	}
	if os.Getenv(largeEnv) == "off" {
		sets = slices.DeleteFunc(sets, func(d dataset) bool { return d.bucket == "large" })
	}
	if only := os.Getenv(setsEnv); only != "" {
		names := strings.Split(only, ",")
		sets = slices.DeleteFunc(sets, func(d dataset) bool { return !slices.Contains(names, d.bucket) })
	}
	return sets
}

// replicate compares FaDO's bulk copy, rescan and lag with other copiers.
func replicate(ctx context.Context, e *env) (string, error) {
	c, err := e.newCopiers(ctx)
	if err != nil {
		return "", err
	}
	defer c.close()
	var text strings.Builder
	text.WriteString("Two MinIOs on this machine, which take most of it; every copier in a process of its own, in turn, round by round. " +
		"Bare streams are parallel GETs into PUTs without listing, comparison or checks (the 2 GiB object as parallel ranged parts); " +
		"bodies are unsigned. FaDO's time is from the registration of the bucket until its copy is synced, listing, comparison, " +
		"verification and bookkeeping included; its CPU is what the running process used meanwhile, its memory the most it ever had. " +
		"`mc mirror` runs with its defaults, `rclone sync` with `--checksum --fast-list --transfers 32 --checkers 32`. Objects of " +
		"more than 16 MiB were uploaded in parts of 16 MiB, as SDKs do. Median (lowest–highest); the ratio is of times, round by round.\n\n")
	for _, d := range e.datasets() {
		t, err := c.compare(ctx, d)
		if err != nil {
			return "", fmt.Errorf("%s: %w", d, err)
		}
		text.WriteString(t + "\n")
	}
	lag, err := c.lag(ctx)
	if err != nil {
		return "", fmt.Errorf("lag: %w", err)
	}
	return text.String() + lag, nil
}

// upload fills the source bucket.
func (c *copiers) upload(ctx context.Context, d dataset) error {
	if err := c.from.MakeBucket(ctx, d.bucket, minio.MakeBucketOptions{}); err != nil {
		return err
	}
	workers := 16
	if d.size > 1<<20 {
		workers = 4
	}
	next := make(chan int)
	errs := make([]error, workers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range next {
				_, err := c.from.PutObject(ctx, d.bucket, d.key(i), io.LimitReader(pattern{}, d.size), d.size,
					minio.PutObjectOptions{PartSize: 16 << 20, DisableContentSha256: true})
				errs[w] = errors.Join(errs[w], err)
			}
		})
	}
	for i := range d.count {
		next <- i
	}
	close(next)
	wg.Wait()
	return errors.Join(errs...)
}

// pattern reads as bytes that are not all alike.
type pattern struct{}

func (pattern) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(i * 7)
	}
	return len(p), nil
}

// compare has every copier copy a dataset, and look at it again where it is small.
func (c *copiers) compare(ctx context.Context, d dataset) (string, error) {
	if err := c.upload(ctx, d); err != nil {
		return "", err
	}
	f, err := c.startFado(ctx) // one process per dataset: its memory is this dataset's
	if err != nil {
		return "", err
	}
	defer f.stop()
	copies, rescans := make(map[string][]cost), make(map[string][]cost)
	for range d.rounds {
		for _, name := range copierNames {
			first, again, err := c.turn(ctx, f, name, d)
			if err != nil {
				return "", fmt.Errorf("%s: %w", name, err)
			}
			copies[name], rescans[name] = append(copies[name], first), append(rescans[name], again)
			fmt.Printf("%s %s: %.2f s, CPU %.2f s, %.0f MiB; again %.2f s\n", d, name, first.wall, first.cpu, first.rss, again.wall)
		}
	}
	_ = c.from.RemoveBucketWithOptions(ctx, d.bucket, minio.RemoveBucketOptions{ForceDelete: true})
	text := bulkTable(d, copies)
	if d.bucket == "small" {
		text += "\n" + rescanTable(d, rescans)
	}
	return text, nil
}

// turn is one copier's round: the copy, a second look with everything in step, and the
// removal of what it wrote.
func (c *copiers) turn(ctx context.Context, f *fado, name string, d dataset) (first, again cost, err error) {
	syscall.Sync() // one copier's writes are not another's to wait for
	if name == "fado" {
		if first, err = f.measured(func() error { return f.sync(ctx, d) }); err != nil {
			return first, again, err
		}
		if again, err = f.measured(func() error { return f.rescan(ctx, d) }); err != nil {
			return first, again, err
		}
		if err := f.forget(ctx, d); err != nil {
			return first, again, err
		}
	} else {
		if err := c.to.MakeBucket(ctx, target(name, d.bucket), minio.MakeBucketOptions{}); err != nil {
			return first, again, err
		}
		if first, err = runCommand(c.command(ctx, name, d)); err != nil {
			return first, again, err
		}
		if name != "bare" {
			if again, err = runCommand(c.command(ctx, name, d)); err != nil {
				return first, again, err
			}
		}
	}
	return first, again, c.removeTarget(ctx, name, d)
}

func column(costs []cost, f func(cost) float64) []float64 {
	v := make([]float64, len(costs))
	for i, c := range costs {
		v[i] = f(c)
	}
	return v
}

func walls(c []cost) []float64 { return column(c, func(c cost) float64 { return c.wall }) }
func cpus(c []cost) []float64  { return column(c, func(c cost) float64 { return c.cpu }) }
func rsses(c []cost) []float64 { return column(c, func(c cost) float64 { return c.rss }) }

// ratios of two copiers' times, round by round: how many times as fast b is as a.
func ratios(a, b []cost) []float64 {
	v := make([]float64, len(a))
	for i := range a {
		v[i] = a[i].wall / b[i].wall
	}
	return v
}

func bulkTable(d dataset, copies map[string][]cost) string {
	goal, reach := 0.9, "≥ 0.9 of bare, memory ≤ 300 MiB"
	if d.bucket == "small" {
		goal, reach = 0.95, "≥ 0.95 of bare, ahead of both copiers, CPU ≤ 0.7 of the leaner one's"
	}
	var rows [][]string
	for _, name := range copierNames {
		v := copies[name]
		speed, cpu, rss := spread(ratios(copies["bare"], v), "%.2f"), spread(cpus(v), "%.1f"), spread(rsses(v), "%.0f")
		if name == "fado" {
			speed = bar(median(ratios(copies["bare"], v)) >= goal && (d.bucket != "small" || ahead(copies)), speed)
			lean := min(median(cpus(copies["mc"])), median(cpus(copies["rclone"])))
			if d.bucket == "small" {
				share := median(cpus(v)) / lean
				cpu = bar(share <= 0.7, fmt.Sprintf("%s, %.2f of the leaner one's", cpu, share))
			} else {
				rss = bar(slices.Max(rsses(v)) <= 300, rss)
			}
		}
		rows = append(rows, []string{copierTitles[name], spread(walls(v), "%.2f"), speed, cpu, rss})
	}
	return fmt.Sprintf("### %s\n\nTo reach: %s.\n\n", d, reach) +
		table([]string{"copier", "seconds", "of bare's rate", "CPU seconds", "most memory, MiB"}, rows)
}

func ahead(copies map[string][]cost) bool {
	own := median(walls(copies["fado"]))
	return own < median(walls(copies["mc"])) && own < median(walls(copies["rclone"]))
}

func rescanTable(d dataset, again map[string][]cost) string {
	best := min(median(walls(again["mc"])), median(walls(again["rclone"])))
	var rows [][]string
	for _, name := range []string{"fado", "mc", "rclone"} {
		wall := spread(walls(again[name]), "%.3f")
		if name == "fado" {
			wall = bar(median(walls(again[name])) <= best, wall)
		}
		rows = append(rows, []string{copierTitles[name], wall, spread(cpus(again[name]), "%.2f")})
	}
	return fmt.Sprintf("### %s in step, looked at again\n\nTo reach: ≤ the faster of the two copiers.\n\n", d) +
		table([]string{"copier", "seconds", "CPU seconds"}, rows)
}

// percentile of sorted values.
func percentile(v []float64, p float64) float64 {
	if len(v) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(v))
	return s[min(len(s)-1, int(float64(len(s))*p))]
}

func pair(v []float64) string {
	return fmt.Sprintf("%.1f / %.1f ms", percentile(v, 0.5), percentile(v, 0.99))
}

func lagText(bare, file, routable []float64) string {
	ratio50, ratio99 := percentile(routable, 0.5)/percentile(bare, 0.5), percentile(routable, 0.99)/percentile(bare, 0.99)
	rows := [][]string{
		{"bare listener→GET→PUT, until the file is at the target", pair(bare), ""},
		{"FaDO, until the file is at the target", pair(file), ""},
		{
			"FaDO, until the copy is routable (by `GET /fado/route`)", pair(routable),
			bar(ratio50 <= 1.2 && ratio99 <= 1.5, fmt.Sprintf("%.2f / %.2f", ratio50, ratio99)),
		},
	}
	return "### From a write's acknowledgement to its copy\n\n" + strconv.Itoa(len(bare)) + " PUTs of 4 KiB at 20/s, idle otherwise. " +
		"To reach: p50 ≤ 1.2 ×, p99 ≤ 1.5 × the bare loop's.\n\n" +
		table([]string{"", "p50 / p99", "of bare"}, rows)
}
