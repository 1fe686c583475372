package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// results reads RESULTS.md: the cells of a row, by the title of its section and its
// first cell.
func results(t *testing.T) func(title, row string) []string {
	t.Helper()
	b, err := os.ReadFile("RESULTS.md")
	if err != nil {
		t.Fatal(err)
	}
	return func(title, row string) []string {
		t.Helper()
		_, text, ok := strings.Cut(string(b), "# "+title+"\n")
		if !ok {
			t.Fatalf("RESULTS.md has no section %q", title)
		}
		text, _, _ = strings.Cut(text, "\n#")
		for line := range strings.Lines(text) {
			cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
			for i := range cells {
				cells[i] = strings.TrimSpace(cells[i])
			}
			if cells[0] == row {
				return cells
			}
		}
		t.Fatalf("section %q of RESULTS.md has no row %q", title, row)
		return nil
	}
}

// number is the first one in a text, without what separates thousands.
func number(t *testing.T, text string) float64 {
	t.Helper()
	m := regexp.MustCompile(`\d[\d,]*(\.\d+)?`).FindString(text)
	v, err := strconv.ParseFloat(strings.ReplaceAll(m, ",", ""), 64)
	if err != nil {
		t.Fatalf("no number in %q", text)
	}
	return v
}

// TestFiguresInTheDocs: a figure that the documentation takes from RESULTS.md is the
// one that stands there. In says (a regular expression whose group is the figure) blanks
// stand for any white space.
func TestFiguresInTheDocs(t *testing.T) {
	cell := results(t)
	const small = "10000 × 4 KiB"
	for _, f := range []struct {
		doc, says, title, row string
		column                int
	}{
		{"scaling.md", `(\d+) MiB resident with 10⁶ of them`, "A million buckets", "resident after start", 1},
		{"scaling.md", `(\d+) ns to choose`, "The choice itself", "`BenchmarkRoute/object/spread`", 1},
		{"scaling.md", `10,000 × 4 KiB in ([\d.]+) s`, small, "FaDO", 1},
		{"scaling.md", `loads 10⁶ buckets in ([\d.]+) s from SQLite`, "A million buckets", "start until the API answers", 1},
	} {
		b, err := os.ReadFile(filepath.Join("../docs", f.doc))
		if err != nil {
			t.Fatal(err)
		}
		m := regexp.MustCompile(strings.ReplaceAll(f.says, " ", `\s+`)).FindSubmatch(b)
		if m == nil {
			t.Errorf("docs/%s does not say %q", f.doc, f.says)
			continue
		}
		if measured := cell(f.title, f.row)[f.column]; number(t, string(m[1])) != number(t, measured) {
			t.Errorf("docs/%s says %q, RESULTS.md %q in the row %s of %q", f.doc, m[0], measured, f.row, f.title)
		}
	}
}

// TestWhatIsMeasuredOnceStays: a run writes what was measured by hand as it stands.
func TestWhatIsMeasuredOnceStays(t *testing.T) {
	b, err := os.ReadFile("RESULTS.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(string(b), "\n\n"+once) {
		t.Error("RESULTS.md does not end with once.md")
	}
}

// TestMissesAreMarked: what RESULTS.md shows below a bar says so.
func TestMissesAreMarked(t *testing.T) {
	cell := results(t)
	for _, b := range []struct {
		title, row string
		column     int
		reached    func(float64) bool
	}{
		{"The choice itself", "`" + decidingChoice + "`", 1, func(v float64) bool { return v <= slowestChoice }},
		{"The choice itself", "`" + decidingChoice + "`", 2, func(v float64) bool { return v == 0 }},
		{"Invocations beside plain `least_conn`, and beside one route per bucket", "10000", 3, func(v float64) bool { return v >= 0.97 }},
		{"A million buckets", "resident after 10 s of load, 200 changes to come", 1, func(v float64) bool { return v <= 600 }},
		{"Changes through the API", "a change by API, until an invocation is routed by it, idle", 1, func(v float64) bool { return v <= 20 }},
		{"Changes through the API", "failed requests", 1, func(v float64) bool { return v == 0 }},
		{"10000 × 4 KiB", "FaDO", 2, func(v float64) bool { return v >= 0.95 }},
		{"40 × 64 MiB", "FaDO", 2, func(v float64) bool { return v >= 0.9 }},
		{"40 × 64 MiB", "FaDO", 4, func(v float64) bool { return v <= 300 }},
		{"1 × 2048 MiB", "FaDO", 2, func(v float64) bool { return v >= 0.9 }},
		{"1 × 2048 MiB", "FaDO", 4, func(v float64) bool { return v <= 300 }},
		{"URLs that are signed", "FaDO, of a storage", 1, func(v float64) bool { return v <= slowestURL }},
		{"URLs that are signed", "FaDO, of the S3 endpoint", 1, func(v float64) bool { return v <= slowestURL }},
	} {
		text := cell(b.title, b.row)[b.column]
		if marked := strings.Contains(text, "**missed**"); marked == b.reached(number(t, text)) {
			t.Errorf("%q, row %s: %q, marked as missed: %v", b.title, b.row, text, marked)
		}
	}
}

func TestTheChoiceIsHeldToItsBar(t *testing.T) {
	const out = "BenchmarkRoute/object/spread-2 100 %s ns/op 0 B/op %s allocs/op\nBenchmarkRoute/object/hot-2 100 999 ns/op 8 B/op 1 allocs/op\n"
	for _, c := range []struct {
		ns, allocs string
		misses     int
	}{{"299.5", "0", 0}, {"429", "0", 1}, {"100", "1", 1}, {"301", "2", 2}} {
		text, err := choiceTable(strings.Replace(strings.Replace(out, "%s", c.ns, 1), "%s", c.allocs, 1))
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(text, "**missed**"); n != c.misses {
			t.Errorf("%s ns, %s allocations: %d marks, want %d\n%s", c.ns, c.allocs, n, c.misses, text)
		}
	}
}

// TestPlansTable: the figures of plans are taken from what the benchmark prints, and what is
// slower than its bar is marked.
func TestPlansTable(t *testing.T) {
	got, err := plansTable("BenchmarkPlan/10000-2   \t 1\t 2500000000 ns/op\t 0.56 live-MiB\nBenchmarkPlan/1000000-16\t1\t59000000000 ns/op\t-1.0 live-MiB\n")
	if err != nil || !strings.Contains(got, "| 10000 | 2.50 **missed** | 2 | 0.56 |") || !strings.Contains(got, "| 1000000 | 59.00 | 60 | -1.0 |") {
		t.Errorf("%s, %v", got, err)
	}
	if _, err := plansTable("PASS"); err == nil {
		t.Error("no benchmark is taken for one")
	}
}

// TestPresignTable: what takes longer than its bar is marked, and minio-go's figure is no bar.
func TestPresignTable(t *testing.T) {
	const out = "BenchmarkPresign/FaDO-2 1 %s ns/op 9 B/op 7 allocs/op\nBenchmarkPresign/minio-go-2 1 90000 ns/op 9 B/op 99 allocs/op\nBenchmarkSign/FaDO-2 1 9000 ns/op 9 B/op 8 allocs/op\n"
	for ns, misses := range map[string]int{"19999": 0, "20001": 1} {
		text, err := presignTable(strings.Replace(out, "%s", ns, 1))
		if err != nil || strings.Count(text, "**missed**") != misses || !strings.Contains(text, "| 90.0 (90.0–90.0) | 99 |") {
			t.Errorf("%s ns: %s, %v", ns, text, err)
		}
	}
	if _, err := presignTable("PASS"); err == nil {
		t.Error("no benchmark is taken for one")
	}
}

// TestSectionsOfOtherRunsStay: a run of one section keeps the others, in a new clone as well.
func TestSectionsOfOtherRunsStay(t *testing.T) {
	b, err := os.ReadFile("RESULTS.md")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, s := range sections {
		if text := sectionOf(b, s.title); text != nil {
			found++
			if !strings.Contains(string(b), "\n"+string(text)) || strings.Count(string(text), "\n## ") > 0 || len(text) < 100 {
				t.Errorf("%s: %q", s.title, text)
			}
		}
	}
	if found < 7 {
		t.Errorf("%d sections", found)
	}
	if text := sectionOf(b, "No such section"); text != nil {
		t.Errorf("%q", text)
	}
}
