package main

import (
	"fmt"
	"slices"
	"strconv"
)

func column(costs []cost, f func(cost) float64) []float64 {
	v := make([]float64, len(costs))
	for i, c := range costs {
		v[i] = f(c)
	}
	return v
}

func walls(c []cost) []float64 { return column(c, func(c cost) float64 { return c.wall }) }

func cpus(c []cost) []float64 { return column(c, func(c cost) float64 { return c.cpu }) }

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
