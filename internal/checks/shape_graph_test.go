package checks

import (
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"
)

// exactly is how many files of one circle are ordered by trying all orders. A larger
// circle is ordered by moving one file at a time to where it does least harm.
const exactly = 14

// An arrow leads from a file to one that it uses.
type arrow struct{ from, to string }

// upward returns the arrows that run against the order of the files, with the order
// chosen so that they are as few as possible. Without circles there are none.
func upward(uses map[string]map[string]bool) (up []arrow) {
	for _, circle := range circles(uses) {
		g := make(graph, len(circle))
		for i, from := range circle {
			g[i] = make([]bool, len(circle))
			for j, to := range circle {
				g[i][j] = uses[from][to]
			}
		}
		order := g.moved()
		if len(g) <= exactly {
			order = g.best()
		}
		for i, low := range order {
			for _, high := range order[i+1:] {
				if g[low][high] {
					up = append(up, arrow{circle[low], circle[high]})
				}
			}
		}
	}
	return up
}

// A graph says of each pair of files whether the first uses the second.
type graph [][]bool

// best is the order, lowest file first, with the fewest arrows upward. It tries all sets
// of files that may lie lowest, and remembers which file of each is best put on top.
func (g graph) best() (order []int) {
	masks := make([]uint, len(g))
	for i, row := range g {
		for j, used := range row {
			if used {
				masks[i] |= 1 << j
			}
		}
	}
	least, tops := make([]int, 1<<len(g)), make([]int, 1<<len(g))
	for set := uint(1); set < uint(len(least)); set++ {
		least[set] = len(g) * len(g)
		for top := range masks {
			rest := set &^ (1 << top)
			if rest == set {
				continue
			}
			if up := least[rest] + toTop(masks, rest, top); up < least[set] {
				least[set], tops[set] = up, top
			}
		}
	}
	for set := uint(len(least) - 1); set != 0; set &^= 1 << order[len(order)-1] {
		order = append(order, tops[set])
	}
	slices.Reverse(order)
	return order
}

// toTop counts the files of a set that use the one on top of them.
func toTop(masks []uint, set uint, top int) (n int) {
	for ; set != 0; set &= set - 1 {
		if masks[bits.TrailingZeros(set)]&(1<<top) != 0 {
			n++
		}
	}
	return n
}

// moved starts with the files that use least at the bottom, and moves single files until
// no move helps.
func (g graph) moved() (order []int) {
	for i := range g {
		order = append(order, i)
	}
	slices.SortStableFunc(order, func(a, b int) int { return g.surplus(a) - g.surplus(b) })
	least := g.against(order)
	for improved := true; improved; {
		improved = false
		for i := range order {
			for j := range order {
				tried := slices.Insert(slices.Delete(slices.Clone(order), i, i+1), j, order[i])
				if up := g.against(tried); up < least {
					order, least, improved = tried, up, true
				}
			}
		}
	}
	return order
}

// surplus is how many more files a file uses than use it.
func (g graph) surplus(file int) (n int) {
	for other := range g {
		if g[file][other] {
			n++
		}
		if g[other][file] {
			n--
		}
	}
	return n
}

// against counts the arrows to files that come later in the order.
func (g graph) against(order []int) (up int) {
	for i, low := range order {
		for _, high := range order[i+1:] {
			if g[low][high] {
				up++
			}
		}
	}
	return up
}

// circles are the groups of files that reach each other (Tarjan's strongly connected
// components) with two files or more.
func circles(uses map[string]map[string]bool) (found [][]string) {
	index, low := make(map[string]int), make(map[string]int)
	var stack []string
	var visit func(string)
	visit = func(file string) {
		index[file] = len(index) + 1
		low[file] = index[file]
		stack = append(stack, file)
		for _, to := range sorted(uses[file]) {
			if index[to] == 0 {
				visit(to)
			}
			if slices.Contains(stack, to) {
				low[file] = min(low[file], low[to])
			}
		}
		if low[file] != index[file] {
			return
		}
		at := slices.Index(stack, file)
		if circle := slices.Clone(stack[at:]); len(circle) > 1 {
			slices.Sort(circle)
			found = append(found, circle)
		}
		stack = stack[:at]
	}
	for _, file := range sorted(uses) {
		if index[file] == 0 {
			visit(file)
		}
	}
	return found
}

// TestUpward: the fewest arrows that have to run upward are found, by trying all orders
// and by moving files.
func TestUpward(t *testing.T) {
	for name, c := range map[string]struct {
		uses map[string]map[string]bool
		want []arrow
	}{
		"no circle": {uses: map[string]map[string]bool{"a": {"b": true, "c": true}, "b": {"c": true}}},
		"two files": {
			uses: map[string]map[string]bool{"a": {"b": true}, "b": {"a": true, "c": true}, "d": {"a": true}},
			want: []arrow{{"a", "b"}},
		},
		"one way back of many down": {
			uses: map[string]map[string]bool{"a": {"b": true, "c": true, "d": true}, "b": {"c": true}, "c": {"d": true}, "d": {"a": true}},
			want: []arrow{{"d", "a"}},
		},
	} {
		got := upward(c.uses)
		if len(got) != len(c.want) || len(got) == 1 && name != "two files" && got[0] != c.want[0] {
			t.Errorf("%s: %v run upward, want %v", name, got, c.want)
		}
	}
}

// TestMovedIsNearlyBest compares the two ways on graphs small enough for both.
func TestMovedIsNearlyBest(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		g := make(graph, 9)
		for i := range g {
			g[i] = make([]bool, len(g))
			for j := range g[i] {
				g[i][j] = i != j && random.IntN(4) == 0
			}
		}
		best, moved := g.against(g.best()), g.against(g.moved())
		if moved < best || moved > best+2 {
			t.Errorf("moving files leaves %d arrows upward, the best order %d: %v", moved, best, g)
		}
	}
}
