package main

import (
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
)

// slowestURL is the bar for a presigned URL, in microseconds.
const slowestURL = 20

// presign runs the benchmarks of presigned URLs, and minio-go's beside them.
func presign(ctx context.Context, e *env) (string, error) {
	args := []string{"test", "-run", "^$", "-bench", "^Benchmark(Presign|Sign)$", "-benchmem", "-count", "3", "./storage", "./s3gateway/urls"}
	if e.quick {
		args = append(args, "-benchtime", "100x")
	}
	out, err := exec.CommandContext(ctx, "go", args...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return presignTable(string(out))
}

// presignTable turns what `go test -bench` printed into the table.
func presignTable(out string) (string, error) {
	titles := []struct{ name, title string }{
		{"BenchmarkPresign/FaDO", "FaDO, of a storage"},
		{"BenchmarkSign/FaDO", "FaDO, of the S3 endpoint"},
		{"BenchmarkPresign/minio-go", "minio-go's `PresignedGetObject`, of the same storage"},
	}
	re := regexp.MustCompile(`(?m)^(Benchmark\S+?)(?:-\d+)?\s+\d+\s+([\d.]+) ns/op.*?\s(\d+) allocs/op`)
	took, allocs := make(map[string][]float64), make(map[string]string)
	for _, m := range re.FindAllStringSubmatch(out, -1) {
		ns, err := strconv.ParseFloat(m[2], 64)
		if err != nil {
			return "", err
		}
		took[m[1]], allocs[m[1]] = append(took[m[1]], ns/1000), m[3]
	}
	var rows [][]string
	for i, t := range titles {
		if len(took[t.name]) == 0 {
			return "", fmt.Errorf("%s did not run: %s", t.name, out)
		}
		text := spread(took[t.name], "%.1f")
		if i < 2 {
			text = bar(median(took[t.name]) <= slowestURL, text)
		}
		rows = append(rows, []string{t.title, text, allocs[t.name]})
	}
	return fmt.Sprintf("A URL that needs no key, for each input of an invocation. To reach: ≤ %d µs. Median of 3 (lowest–highest).\n\n", slowestURL) +
		table([]string{"one URL", "µs", "allocations"}, rows), nil
}
