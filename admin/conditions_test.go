package admin

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
	} {
		t.Run(name, func(t *testing.T) {
			h := http.Header{}
			if tc.match != nil {
				h["If-Match"] = tc.match
			}
			if tc.noneMatch != nil {
				h["If-None-Match"] = tc.noneMatch
			}
			got, err := preconditions(h)
			if tc.bad {
				if statusOf(err) != http.StatusBadRequest {
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
