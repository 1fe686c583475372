package cli

import (
	"strings"
	"unicode/utf8"
)

const (
	// maxColumns is how wide tables are at most.
	maxColumns = 100
	// minColumns is how wide they are at least, however narrow a terminal is.
	minColumns = 40
)

// table is rows under a head. What does not fit the width is cut in the widest columns.
type table struct{ rows [][]string }

func newTable(head ...string) *table { return &table{rows: [][]string{head}} }

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

const gap = 2

// within returns the table's lines, none of them wider than so many columns.
func (t *table) within(columns int) string {
	widths := t.widths(columns)
	var out strings.Builder
	for _, row := range t.rows {
		cells := make([]string, len(row))
		for i, cell := range row {
			cell = cut(cell, widths[i])
			cells[i] = cell + strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
		}
		out.WriteString(strings.TrimRight(strings.Join(cells, strings.Repeat(" ", gap)), " ") + "\n")
	}
	return out.String()
}

// widths returns how wide the columns are, the widest ones narrowed until all fit.
func (t *table) widths(atMost int) []int {
	widths := make([]int, len(t.rows[0]))
	total := gap * (len(widths) - 1)
	for i := range widths {
		for _, row := range t.rows {
			widths[i] = max(widths[i], utf8.RuneCountInString(oneLine(row[i])))
		}
		total += widths[i]
	}
	for ; total > atMost; total-- {
		widest := 0
		for i, w := range widths {
			if w >= widths[widest] {
				widest = i
			}
		}
		widths[widest]--
	}
	return widths
}

// cut shortens a text to a width and takes its line ends out.
func cut(s string, width int) string {
	s = oneLine(s)
	if utf8.RuneCountInString(s) <= width {
		return s
	}
	runes := []rune(s)
	return string(runes[:max(0, width-1)]) + "…"
}

// oneLine takes out of a text what would move the cursor: names and errors may hold anything.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return ' '
		}
		return r
	}, s)
}
