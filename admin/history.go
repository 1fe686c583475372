package admin

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fado-project/fado/admin/internal/request"
	"github.com/fado-project/fado/history"
)

// historyView is the JSON of GET /fado/history.
type historyView struct {
	// The time of the first values.
	From time.Time `json:"from"`
	// Seconds between two values.
	Step float64 `json:"step"`
	// The series asked for, in that order.
	Series []seriesView `json:"series"`
}

// seriesView is one series.
type seriesView struct {
	// The instance that measured it.
	Node string `json:"node"`
	// Name of the series.
	Name string `json:"name"`
	// A value for each time; null where none is known.
	Values []measured `json:"values"`
}

// historyNamesView is the JSON of GET /fado/history/series.
type historyNamesView struct {
	// Whether anything is kept: see the option history.
	Kept bool `json:"kept"`
	// Seconds between two values.
	Step float64 `json:"step"`
	// Names of the series, sorted.
	Series []string `json:"series"`
	// The instances whose series are kept: this one, then the others by name.
	Nodes []toldView `json:"nodes"`
}

// toldView is an instance whose series are kept here.
type toldView struct {
	// Its name.
	Node string `json:"node"`
	// Whether it is the one that answers.
	This bool `json:"this"`
	// The time of its newest value; null while there is none.
	Last *time.Time `json:"last"`
	// Whether its next value is overdue: it ended, or does not reach the store.
	Silent bool `json:"silent"`
}

const (
	// historyDefault is how far back history is told where no time is said.
	historyDefault = time.Hour
	// historyValues bounds the values of a series in one answer, historyTotal those of all.
	historyValues = 2000
	historyTotal  = 500_000
)

// silentAfter is how many steps after its newest value an instance counts as silent, and silentLeast
// how long after it at least.
const (
	silentAfter = 4
	silentLeast = 10 * time.Second
)

// historyNames lists what is kept.
func historyNames(c *call) error {
	v := historyNamesView{Series: []string{}, Nodes: []toldView{{Node: c.catalogue.Node(), This: true}}}
	if c.history == nil {
		return c.Reply(http.StatusOK, v)
	}
	v.Kept, v.Step, v.Series = true, c.history.Step().Seconds(), c.history.Names("")
	if last := c.history.Last(); !last.IsZero() {
		v.Nodes[0].Last = &last
	}
	for _, n := range c.history.Nodes() {
		overdue := time.Since(n.Last) > max(silentLeast, silentAfter*c.history.Step())
		v.Nodes = append(v.Nodes, toldView{Node: n.Name, Last: &n.Last, Silent: overdue})
	}
	return c.Reply(http.StatusOK, v)
}

// everyNode asks for the series of all instances.
const everyNode = "all"

// nodeSeries is a series that was asked for, and who measured it.
type nodeSeries struct {
	id   history.SeriesID
	node string
}

// seriesAsked returns the series that a request is for, in its order, instance by instance. What is
// the store's or the storages' is the same no matter which one tells: it is told of this instance, once.
func seriesAsked(c *call) ([]nodeSeries, error) {
	own := c.catalogue.Node()
	nodes := []string{""}
	switch node := c.Query("node"); node {
	case "", own:
	case everyNode:
		nodes = append(nodes, views(c.history.Nodes(), func(n history.Node) string { return n.Name })...)
	default:
		if nodes = []string{node}; !slices.ContainsFunc(c.history.Nodes(), func(n history.Node) bool { return n.Name == node }) {
			return nil, request.Bad("query parameter \"node\": %q: no instance of that name has told lately what it measures; expected %s, or one that /fado/history/series lists", node, everyNode)
		}
	}
	var all []nodeSeries
	seen := make(map[nodeSeries]bool)
	for _, node := range nodes {
		for _, name := range history.Select(c.R.URL.Query()["series"], namesOf(c.history, node)) {
			s := nodeSeries{history.SeriesID{Node: node, Name: name}, node}
			if node == "" || shared(name) {
				s = nodeSeries{history.SeriesID{Name: name}, own}
			}
			if !seen[s] {
				seen[s] = true
				all = append(all, s)
			}
		}
	}
	return all, nil
}

// namesOf lists the series of an instance, with those that all share.
func namesOf(h *history.Rings, node string) []string {
	names := h.Names(node)
	if node == "" {
		return names
	}
	return append(names, slices.DeleteFunc(h.Names(""), func(name string) bool { return !shared(name) })...)
}

// shared says whether a series is of what all instances share.
func shared(series string) bool {
	return strings.HasPrefix(series, "backlog.") || strings.HasPrefix(series, "used.")
}

// historyOf answers with columns of numbers.
func historyOf(c *call) error {
	if c.history == nil {
		return request.Unavailable("no history is kept: the configuration says history off")
	}
	asked, err := seriesAsked(c)
	if err != nil {
		return err
	}
	to, err := c.Moment("to", time.Now().Truncate(time.Second))
	if err != nil {
		return err
	}
	from, err := c.Moment("from", to.Add(-historyDefault))
	if err != nil {
		return err
	}
	if from.After(to) {
		return request.Bad("query parameter \"from\": %s: expected a time before \"to\", %s", from.Format(time.RFC3339), to.Format(time.RFC3339))
	}
	step := to.Sub(from) / min(historyValues, historyTotal/max(1, time.Duration(len(asked))))
	if text := c.Query("step"); text != "" {
		seconds, err := strconv.Atoi(text)
		if err != nil || seconds < 1 || seconds > 86400 {
			return request.Bad("query parameter \"step\": %q: expected seconds, from 1 to 86400", text)
		}
		step = max(step, time.Duration(seconds)*time.Second)
	}
	columns := c.history.Read(views(asked, func(s nodeSeries) history.SeriesID { return s.id }), from, to, step)
	v := historyView{From: columns.From, Step: columns.Step.Seconds(), Series: make([]seriesView, len(asked))}
	for i, s := range asked {
		v.Series[i] = seriesView{s.node, s.id.Name, views(columns.Values[i], func(v float64) measured { return measured(v) })}
	}
	return c.Reply(http.StatusOK, v)
}

// measured is a value; NaN, where none is known, is null in JSON.
type measured = history.Value

// historyOperations are those on what was measured.
func historyOperations() operations {
	return operations{
		{
			name: "history", method: http.MethodGet, pattern: "/fado/history", role: roleViewer, handle: historyOf,
			params: []parameter{
				{name: "series", doc: "The series to tell; a name that ends with a point stands for all that begin with it. Default: all.", repeated: true},
				{name: "node", doc: "The instance whose series are told, or all. What is the store's or the storages' (backlog., used.) is the same of all, and told of this one. Default: this instance."},
				{name: "from", doc: "Begin here (RFC 3339). Default: an hour before to."},
				{name: "to", doc: "End here (RFC 3339). Default: now."},
				{name: "step", doc: "Seconds between two values, at least; a series has 2000 values at most, and an answer 500,000. Default: as few as that allows."},
			},
			summary: "What instances measured: columns of numbers at the same times.",
			replies: []reply{{status: 200, doc: "The columns.", body: historyView{}}}, errors: []int{400, 503},
		},
		{
			name: "history-series", method: http.MethodGet, pattern: "/fado/history/series", role: roleViewer, handle: historyNames,
			summary: "The names of the series that are kept, and whose.",
			replies: []reply{{status: 200, doc: "The names.", body: historyNamesView{}}}, errors: []int{400, 503},
		},
	}
}
