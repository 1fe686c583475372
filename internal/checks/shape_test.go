package checks

import (
	"cmp"
	"slices"
	"strings"
	"testing"
)

// The bars that every package has to meet. They keep a package small enough to be
// understood, its files in an order in which they can be read, and a type about one job.
const (
	mostLines   = 5000 // of code without tests
	mostUpward  = 10   // per cent of the arrows from file to file
	mostMethods = 25   // of a type, its own or by embedding
	mostP90     = 40   // lines that nine of ten functions stay within
	leastTests  = 60   // lines of tests for 100 lines of code
)

// tolerated are the packages that miss a bar today, and by how much, in steps of 250 lines,
// 5 methods and 5 lines of tests. An entry only ever gets smaller (tests: larger), and goes
// when its package meets the bar. Nothing is added here to let a change pass.
var tolerated = map[string]struct {
	lines, upward, tests int
	methods              map[string]int
}{}

// noTests are packages that are themselves there for tests, measurements and examples,
// that only declare or import, or (stored) that the suite of both stores tests.
var noTests = []string{
	".", "bench", "catalog/catalogtest", "cmd", "examples", "internal/admintest", "internal/chaos", "internal/histories", "internal/testenv",
	"replication/internal/fakestorage", "replication/internal/ids", "replication/internal/port", "replication/internal/walktest",
	"state/internal/stored", "state/statetest",
}

// suites are packages of tests that are written once and run by several rooms: those of a
// contract and its implementations. Such rooms are measured together, by their own tests and
// the suite's lines, which count once: to count them for each implementation would call code
// tested that no test was written for, and to count them nowhere would call for a second test
// of what the suite tests already.
var suites = map[string][]string{
	"state/statetest": {"state", "state/postgres", "state/sqlite"},
}

// TestShape holds the bars, and that no entry of the list above says more than it has to.
// With -v it prints what it measured.
func TestShape(t *testing.T) {
	seen := make(map[string]bool)
	all := shapes(t)
	shared := share(t, all)
	for _, s := range all {
		seen[s.room] = true
		allow := tolerated[s.room]
		arrows, up := s.count(), upward(s.arrows)
		t.Logf("%-34s %5d lines, %5d of tests (%4d %%), p90 %2d lines, %3d arrows, %2d upward (%2d %%)",
			s.room, s.code, s.tests, s.tested(), s.p90(), arrows, len(up), len(up)*100/max(arrows, 1))
		hold(t, s.room+": lines of code", s.code, mostLines, allow.lines)
		if !hold(t, s.room+": arrows upward", len(up), arrows*mostUpward/100, allow.upward) {
			for _, a := range up {
				t.Logf("%s uses %s of %s", a.from, strings.Join(s.names[a], ", "), a.to)
			}
		}
		for name, n := range s.methods {
			hold(t, s.room+": methods of "+name, n, mostMethods, allow.methods[name])
		}
		for name := range allow.methods {
			if s.methods[name] == 0 {
				t.Errorf("%s has no type %s: strike it from the list", s.room, name)
			}
		}
		if !s.forTests() {
			hold(t, s.room+": 90th percentile of the lines of functions", s.p90(), mostP90, 0)
			if !shared[s.room] {
				s.holdTests(t, allow.tests)
			}
		}
	}
	for room := range tolerated {
		if !seen[room] {
			t.Errorf("there is no package %s: strike it from the list", room)
		}
	}
}

// share holds the bar of tests for the rooms that share a suite, and returns them.
func share(t *testing.T, all []*shape) map[string]bool {
	t.Helper()
	shared := make(map[string]bool)
	for suite, rooms := range suites {
		sum := shape{room: strings.Join(rooms, ", ")}
		for _, s := range all {
			switch {
			case s.room == suite:
				sum.tests += s.code
			case slices.Contains(rooms, s.room):
				shared[s.room] = true
				sum.code, sum.tests = sum.code+s.code, sum.tests+s.tests
			}
		}
		if sum.tests == 0 || sum.code == 0 {
			t.Errorf("there is no suite %s of %s: strike it from the list", suite, sum.room)
			continue
		}
		t.Logf("%s with %s: %d lines, %d of tests (%d %%)", sum.room, suite, sum.code, sum.tests, sum.tested())
		sum.holdTests(t, 0)
	}
	return shared
}

// hold reports whether what was measured is within its bar, or within what is tolerated
// instead.
func hold(t *testing.T, what string, got, bar, instead int) bool {
	t.Helper()
	if limit := cmp.Or(instead, bar); got > limit {
		t.Errorf("%s: %d, at most %d", what, got, limit)
		return false
	}
	if instead != 0 && got <= bar {
		t.Errorf("%s: %d, which meets the bar of %d: strike it from the list", what, got, bar)
	}
	return true
}

// holdTests is hold for the lines of tests, of which there have to be enough.
func (s *shape) holdTests(t *testing.T, instead int) {
	t.Helper()
	switch got, limit := s.tested(), cmp.Or(instead, leastTests); {
	case got < limit:
		t.Errorf("%s: %d lines of tests for 100 of code, at least %d", s.room, got, limit)
	case instead != 0 && got >= leastTests:
		t.Errorf("%s: %d lines of tests for 100 of code, which meets the bar of %d: strike it from the list", s.room, got, leastTests)
	}
}

// forTests reports whether the package is itself there for tests or examples.
func (s *shape) forTests() bool {
	return slices.ContainsFunc(noTests, func(room string) bool { return s.room == room || strings.HasPrefix(s.room, room+"/") })
}
