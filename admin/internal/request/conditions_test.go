package request

import (
	"net/http"
	"reflect"
	"testing"

	"github.com/fado-project/fado/control"
)

func TestPreconditions(t *testing.T) {
	for name, tc := range map[string]struct {
		match, noneMatch []string
		want             control.Precondition
		bad              bool
	}{
		"none":                      {},
		"one tag":                   {match: []string{`"a"`}, want: control.Precondition{IfMatch: []string{`"a"`}}},
		"a list over two lines":     {match: []string{`"a" ,"b"`, `"c"`}, want: control.Precondition{IfMatch: []string{`"a"`, `"b"`, `"c"`}}},
		"a comma in a tag":          {match: []string{`"a,b"`}, want: control.Precondition{IfMatch: []string{`"a,b"`}}},
		"any":                       {match: []string{`*`}, want: control.Precondition{IfMatch: []string{"*"}}},
		"weak tags match nothing":   {match: []string{`W/"a"`}, want: control.Precondition{IfMatch: []string{}}},
		"a weak one beside another": {match: []string{`W/"a", "b"`}, want: control.Precondition{IfMatch: []string{`"b"`}}},
		"must not exist":            {noneMatch: []string{"*"}, want: control.Precondition{IfNoneMatchAny: true}},
		"must not be this one":      {noneMatch: []string{`"a"`}, bad: true},
		"no quotes":                 {match: []string{`a`}, bad: true},
		"no end":                    {match: []string{`"a`}, bad: true},
		"no comma":                  {match: []string{`"a" "b"`}, bad: true},
		"empty":                     {match: []string{``}, bad: true},
		"only a weak mark":          {match: []string{`W/`}, bad: true},
		"must not be rubbish":       {noneMatch: []string{`a`}, bad: true},
		"both":                      {match: []string{`"a"`}, noneMatch: []string{"*"}, want: control.Precondition{IfMatch: []string{`"a"`}, IfNoneMatchAny: true}},
		"an empty line first":       {match: []string{``, `"a"`}, want: control.Precondition{IfMatch: []string{`"a"`}}},
		"nothing but commas":        {match: []string{`, ,`}, bad: true},
		"an empty one in a list":    {match: []string{`"a",, "b"`}, want: control.Precondition{IfMatch: []string{`"a"`, `"b"`}}},
	} {
		t.Run(name, func(t *testing.T) {
			h := http.Header{}
			if tc.match != nil {
				h["If-Match"] = tc.match
			}
			if tc.noneMatch != nil {
				h["If-None-Match"] = tc.noneMatch
			}
			got, err := Preconditions(h)
			if tc.bad {
				if StatusOf(err) != http.StatusBadRequest {
					t.Errorf("got %+v, %v, want a 400", got, err)
				}
				return
			}
			if err != nil || !reflect.DeepEqual(got, tc.want) {
				t.Errorf("got %+v, %v, want %+v", got, err, tc.want)
			}
		})
	}
}

// A GET says which version it is to be, strongly, or which it need not be sent again, weakly (RFC 9110, section 8.8.3.2).
func TestConditionsOfGet(t *testing.T) {
	for name, tc := range map[string]struct {
		value         string
		matches, same bool // with "a"
		bad           bool
	}{
		"the tag":               {value: `"a"`, matches: true, same: true},
		"the tag, weak":         {value: `W/"a"`, matches: false, same: true},
		"among others":          {value: `"b", "a"`, matches: true, same: true},
		"another":               {value: `"b"`},
		"any":                   {value: `*`, matches: true, same: true},
		"neither * nor a tag":   {value: `a`, bad: true},
		"a * among other tags":  {value: `"b", *`, bad: true},
		"empty, which is said":  {value: ``, bad: true},
		"a tag that begins so":  {value: `"aa"`},
		"a tag of another case": {value: `"A"`},
	} {
		matches, err := Matches(http.Header{"If-Match": {tc.value}}, `"a"`)
		same, err2 := NotModified(http.Header{"If-None-Match": {tc.value}}, `"a"`)
		switch {
		case tc.bad && (StatusOf(err) != http.StatusBadRequest || StatusOf(err2) != http.StatusBadRequest):
			t.Errorf("%s: %v, %v, want two 400s", name, err, err2)
		case !tc.bad && (err != nil || err2 != nil || matches != tc.matches || same != tc.same):
			t.Errorf("%s: matches %t, %v; not modified %t, %v", name, matches, err, same, err2)
		}
	}
	if ok, err := Matches(http.Header{}, `"a"`); !ok || err != nil {
		t.Errorf("where nothing is said: %t, %v", ok, err)
	}
	if same, err := NotModified(http.Header{}, `"a"`); same || err != nil {
		t.Errorf("where nothing is said it was not modified: %v", err)
	}
}
