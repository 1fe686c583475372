package admin

import (
	"math"
	"testing"
	"time"

	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/history"
)

func TestFlows(t *testing.T) {
	h := start(t, control.Config{})
	var asked time.Duration
	h.backend.flows = func(window time.Duration) history.Flows {
		asked = window
		link := history.Link{From: "c1", To: "c2"}
		return history.Flows{
			Seconds: 61.5, Others: []string{"n2", "n3"},
			Endpoints: []history.EndpointFlow{
				{Cluster: "c1", URL: "http://f", Local: 2, Remote: 1, None: .5, Failed: .25, P50: 3, P99: 40, InFlight: 7},
				{Cluster: "c2", URL: "http://g", P50: math.NaN(), P99: math.NaN()},
			},
			Reads:  []history.LinkFlow{{Link: link, Times: 1}},
			Copies: []history.LinkFlow{{Link: link, Times: 2, Bytes: 3000}},
		}
	}
	want := `{"node":"n1","nodes":["n1","n2","n3"],"window":61.5,"endpoints":[` +
		`{"cluster":"c1","url":"http://f","local":2,"remote":1,"none":0.5,"errors":0.25,"p50_ms":3,"p99_ms":40,"in_flight":7},` +
		`{"cluster":"c2","url":"http://g","local":0,"remote":0,"none":0,"errors":0,"p50_ms":null,"p99_ms":null,"in_flight":0}],` +
		`"reads":[{"from":"c1","to":"c2","invocations":1}],"copies":[{"from":"c1","to":"c2","objects":2,"bytes":3000}]}` + "\n"
	if got := string(h.do("GET", "/fado/flows", "").want(200).body); got != want || asked != time.Minute {
		t.Errorf("of %v: %s", asked, got)
	}
	if h.do("GET", "/fado/flows?window=10s", "").want(200); asked != 10*time.Second {
		t.Errorf("of %v", asked)
	}
	for _, bad := range []string{"60", "9s", "3m", "x"} {
		h.do("GET", "/fado/flows?window="+bad, "").want(400).says("from 10s to 2m")
	}
}
