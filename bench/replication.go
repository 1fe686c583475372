package main

import (
	"context"
	"fmt"
	"strings"
	"syscall"

	"github.com/minio/minio-go/v7"
)

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

// compare has every copier copy a dataset, and look at it again where it is small.
func (c *copiers) compare(ctx context.Context, d dataset) (string, error) {
	if err := c.upload(ctx, d); err != nil {
		return "", err
	}
	f, err := c.startFado(ctx) // one process per dataset: its memory is this dataset's
	if err != nil {
		return "", err
	}
	defer f.caddy.stop()
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
