package admin

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/history"
)

// What was measured comes back as columns, with null where nothing is known.
func TestHistory(t *testing.T) {
	h := start(t, control.Config{})
	first := time.Unix(1_800_000_000, 0).UTC()
	for i := range 4 {
		samples := []history.Sample{{Series: "a", Value: float64(i)}}
		if i == 2 {
			samples = []history.Sample{{Series: "b", Value: 7}}
		}
		h.backend.history.Put(first.Add(time.Duration(i)*10*time.Second), samples)
	}
	query := fmt.Sprintf("from=%s&to=%s", first.Format(time.RFC3339), first.Add(30*time.Second).Format(time.RFC3339))
	for more, want := range map[string]string{
		"":                           `{"from":"2027-01-15T08:00:00Z","step":10,"series":[{"node":"n1","name":"a","values":[0,1,null,3]},{"node":"n1","name":"b","values":[null,null,7,null]}]}`,
		"&series=a.&series=b":        `{"from":"2027-01-15T08:00:00Z","step":10,"series":[{"node":"n1","name":"b","values":[null,null,7,null]}]}`,
		"&series=b":                  `{"from":"2027-01-15T08:00:00Z","step":10,"series":[{"node":"n1","name":"b","values":[null,null,7,null]}]}`,
		"&series=a&series=x&step=20": `{"from":"2027-01-15T08:00:00Z","step":20,"series":[{"node":"n1","name":"a","values":[0.5,3]},{"node":"n1","name":"x","values":[null,null]}]}`,
	} {
		if got := string(h.do("GET", "/fado/history?"+query+more, "").want(200).body); got != want+"\n" {
			t.Errorf("%s: %s", more, got)
		}
	}
	if a := h.do("GET", "/fado/history/series", "").want(200); string(a.body) != `{"kept":true,"step":10,"series":["a","b"],"nodes":[{"node":"n1","this":true,"last":"2027-01-15T08:00:30Z","silent":false}]}`+"\n" {
		t.Errorf("series: %s", a.body)
	}
	for bad, says := range map[string]string{
		"?from=yesterday": "RFC 3339", "?step=0": "from 1 to 86400", "?from=2100-01-01T00:00:00Z": "before",
	} {
		h.do("GET", "/fado/history"+bad, "").want(400).says(says)
	}
	h.backend.history = nil
	h.do("GET", "/fado/history", "").want(503).says("history off")
	if a := h.do("GET", "/fado/history/series", "").want(200); a.at("kept") != false {
		t.Errorf("series: %s", a.body)
	}
}

// Of another instance what it told comes back, and of all what is shared once.
func TestHistoryOfOthers(t *testing.T) {
	h := start(t, control.Config{})
	now := time.Now().Truncate(10 * time.Second)
	own := []history.Sample{{Series: "a", Value: 1}, {Series: "used.c1", Value: 5}}
	h.backend.history.Put(now.Add(-2*time.Minute), own)
	late := history.Sheet{Last: now.Add(-2 * time.Minute), Step: 10 * time.Second, Series: []history.SheetSeries{{Name: "a", Values: []history.Value{4}}}}
	h.backend.history.Hear("gone", late, now.Add(-2*time.Minute))
	h.backend.history.Put(now, own)
	h.backend.history.Hear("n2", history.Sheet{Last: now, Step: 10 * time.Second, Series: []history.SheetSeries{{Name: "a", Values: []history.Value{2}}}}, now)
	said := func(query string) (all []string) {
		var v historyView
		h.do("GET", "/fado/history?series=a&series=used.&from="+now.UTC().Format(time.RFC3339)+query, "").want(200).json(&v)
		for _, s := range v.Series {
			all = append(all, fmt.Sprint(s.Node, " ", s.Name, " ", s.Values))
		}
		return all
	}
	for query, want := range map[string][]string{
		"":          {"n1 a [1]", "n1 used.c1 [5]"},
		"&node=n1":  {"n1 a [1]", "n1 used.c1 [5]"},
		"&node=n2":  {"n2 a [2]", "n1 used.c1 [5]"},
		"&node=all": {"n1 a [1]", "n1 used.c1 [5]", "gone a [NaN]", "n2 a [2]"},
	} {
		if got := said(query); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
	h.do("GET", "/fado/history?node=n3", "").want(400).says(`"n3"`, "expected all")
	var names historyNamesView
	h.do("GET", "/fado/history/series", "").want(200).json(&names)
	var told []string
	for _, n := range names.Nodes {
		told = append(told, fmt.Sprint(n.Node, " ", n.This, " ", n.Silent))
	}
	if want := []string{"n1 true false", "gone false true", "n2 false false"}; !slices.Equal(told, want) {
		t.Errorf("nodes: %q, want %q", told, want)
	}
}
