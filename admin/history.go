package admin

import (
	"encoding/json"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
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
}

const (
	// historyDefault is how far back history is told where no time is said.
	historyDefault = time.Hour
	// historyValues bounds the values of a series in one answer, historyTotal those of all.
	historyValues = 2000
	historyTotal  = 500_000
)

// historyNames lists what is kept.
func historyNames(c *call) error {
	v := historyNamesView{Series: []string{}}
	if c.history != nil {
		v.Kept, v.Step, v.Series = true, c.history.Step().Seconds(), c.history.Names()
	}
	return c.reply(http.StatusOK, v)
}

// historyOf answers with columns of numbers.
func historyOf(c *call) error {
	if c.history == nil {
		return unavailable("no history is kept: the configuration says history off")
	}
	names := wanted(c.r.URL.Query()["series"], c.history.Names())
	to, err := c.moment("to", time.Now().Truncate(time.Second))
	if err != nil {
		return err
	}
	from, err := c.moment("from", to.Add(-historyDefault))
	if err != nil {
		return err
	}
	if from.After(to) {
		return badRequest("query parameter \"from\": %s: expected a time before \"to\", %s", from.Format(time.RFC3339), to.Format(time.RFC3339))
	}
	step := to.Sub(from) / min(historyValues, historyTotal/max(1, time.Duration(len(names))))
	if text := c.query("step"); text != "" {
		seconds, err := strconv.Atoi(text)
		if err != nil || seconds < 1 || seconds > 86400 {
			return badRequest("query parameter \"step\": %q: expected seconds, from 1 to 86400", text)
		}
		step = max(step, time.Duration(seconds)*time.Second)
	}
	columns := c.history.Read(names, from, to, step)
	v := historyView{From: columns.From, Step: columns.Step.Seconds(), Series: make([]seriesView, len(names))}
	for i, name := range names {
		v.Series[i] = seriesView{name, views(columns.Values[i], func(v float64) measured { return measured(v) })}
	}
	return c.reply(http.StatusOK, v)
}

// wanted are the series asked for: a name that ends with a point stands for all that begin
// with it, and nothing for all.
func wanted(asked, all []string) []string {
	if len(asked) == 0 {
		return all
	}
	var names []string
	for _, a := range asked {
		if !strings.HasSuffix(a, ".") {
			names = append(names, a)
			continue
		}
		for _, name := range all {
			if strings.HasPrefix(name, a) {
				names = append(names, name)
			}
		}
	}
	return names
}

// measured is a value; NaN, where none is known, is null in JSON.
type measured float64

// MarshalJSON implements json.Marshaler.
func (m measured) MarshalJSON() ([]byte, error) {
	if math.IsNaN(float64(m)) {
		return []byte("null"), nil
	}
	return json.Marshal(float64(m))
}

// historyOperations are those on what was measured.
func historyOperations() operations {
	return operations{
		{
			name: "history", method: http.MethodGet, pattern: "/fado/history", role: roleViewer, handle: historyOf,
			params: []parameter{
				{name: "series", doc: "The series to tell; a name that ends with a point stands for all that begin with it. Default: all.", repeated: true},
				{name: "from", doc: "Begin here (RFC 3339). Default: an hour before to."},
				{name: "to", doc: "End here (RFC 3339). Default: now."},
				{name: "step", doc: "Seconds between two values, at least; a series has 2000 values at most, and an answer 500,000. Default: as few as that allows."},
			},
			summary: "What this instance measured: columns of numbers at the same times.",
			replies: []reply{{status: 200, doc: "The columns.", body: historyView{}}}, errors: []int{400, 503},
		},
		{
			name: "history-series", method: http.MethodGet, pattern: "/fado/history/series", role: roleViewer, handle: historyNames,
			summary: "The names of the series that are kept.",
			replies: []reply{{status: 200, doc: "The names.", body: historyNamesView{}}}, errors: []int{400, 503},
		},
	}
}
