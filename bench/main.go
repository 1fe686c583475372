// The benchmarks of FaDO's figures, each beside its peer in the same run. It writes
// bench/RESULTS.md.
//
//	make bench                       # all of it, about half an hour
//	go run ./bench -only routing     # one section; RESULTS.md keeps the others
//	FADO_BENCH_LARGE=off make bench  # without the objects of 2 and 10 GiB, where disk or time is short
//
// The machine is named by cores and memory only. Compare figures of one run; absolute
// figures of different machines say little.
package main

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// section is one table of the results.
type section struct {
	name, title string
	run         func(ctx context.Context, e *env) (string, error)
}

var sections = []section{
	{"choice", "The choice itself", choice},
	{"routing", "Invocations beside plain `least_conn`, and beside one route per bucket", routing},
	{"memory", "A million buckets", memory},
	{"changes", "Changes through the API", changes},
	{"plans", "Plans", plans},
	{"replication", "Replication beside other copiers", replicate},
	{"s3", "The S3 endpoint beside the storage itself", s3Endpoint},
	{"huge", "An object of 10 GiB through the S3 endpoint", huge},
	{"presign", "URLs that are signed", presign},
}

func main() {
	only := flag.String("only", "", "comma-separated sections to run (default: all)")
	quick := flag.Bool("quick", false, "short runs, to see that everything works; writes no results")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *only, *quick); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, only string, quick bool) error {
	e, err := newEnv(quick)
	if err != nil {
		return err
	}
	defer e.close()
	for _, s := range sections {
		if only != "" && !slices.Contains(strings.Split(only, ","), s.name) {
			continue
		}
		fmt.Printf("== %s\n", s.title)
		start := time.Now()
		text, err := s.run(ctx, e)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		text = fmt.Sprintf("## %s\n\n%s\n", s.title, strings.TrimSpace(text))
		fmt.Printf("%s\n(%s)\n\n", text, time.Since(start).Round(time.Second))
		if err := os.WriteFile(filepath.Join(e.out, s.name+".md"), []byte(text), 0o644); err != nil {
			return err
		}
	}
	if quick {
		return nil
	}
	return e.writeResults()
}

// once is what RESULTS.md has of measurements that no section makes.
//
//go:embed once.md
var once string

// writeResults joins the sections, those of earlier runs included.
func (e *env) writeResults() error {
	var b strings.Builder
	fmt.Fprintf(&b, "# Results\n\nWritten by `make bench` on a machine with %d cores and %s of memory, %s, Caddy v2.11.9. "+
		"The load generator (wrk), Caddy and the function servers share these cores. Rows of one table were measured in the "+
		"same run, in turn. What a figure has to reach stands beside it; a miss is marked.\n",
		runtime.NumCPU(), totalMemory(), runtime.Version())
	written, err := os.ReadFile("bench/RESULTS.md")
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	for _, s := range sections {
		text, err := os.ReadFile(filepath.Join(e.out, s.name+".md"))
		if errors.Is(err, os.ErrNotExist) { // it ran on another day, or in another clone
			text, err = sectionOf(written, s.title), nil
		}
		if err != nil {
			return err
		}
		if len(text) > 0 {
			b.WriteString("\n")
			b.Write(text)
		}
	}
	b.WriteString("\n" + once)
	return os.WriteFile("bench/RESULTS.md", []byte(b.String()), 0o644)
}

// sectionOf returns what results have of a section, with its title; nothing where they have none.
func sectionOf(results []byte, title string) []byte {
	_, text, ok := bytes.Cut(results, []byte("\n## "+title+"\n"))
	if !ok {
		return nil
	}
	text, _, _ = bytes.Cut(text, []byte("\n## "))
	return append([]byte("## "+title+"\n"), append(bytes.TrimRight(text, "\n"), '\n')...)
}
