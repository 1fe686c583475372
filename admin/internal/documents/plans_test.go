package documents

import (
	"fmt"
	"strings"
	"testing"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/internal/admintest"
	"github.com/fado-project/fado/state"
)

// The pages of a plan are worked out once, and again where the document or the catalogue is another.
func TestPagesOfAPlan(t *testing.T) {
	t.Parallel()
	admintest.Stores(t, func(t *testing.T, s state.Store) {
		h := startOn(t, s, control.Config{})
		text := admintest.Catalogue
		for i := range 9 {
			text += fmt.Sprintf("- {name: more-%d, policy: keep, primary: paris}\n", i)
		}
		pages := func(text string, between func(n int)) (buckets []string, made int64) {
			t.Helper()
			before := h.engine.forecasts.Load()
			for n, after := 0, ""; ; n++ {
				plan := h.do("POST", "/fado/plan?limit=3&after="+strings.ReplaceAll(after, "/", "%2F"), text, "Content-Type", "application/yaml").want(200)
				for _, b := range plan.at("moves", "buckets").([]any) {
					buckets = append(buckets, b.(map[string]any)["bucket"].(string))
				}
				if plan.at("moves", "total", "buckets") != 11.0 {
					t.Fatalf("%s", plan.body)
				}
				if after = plan.at("moves", "next").(string); after == "" {
					return buckets, h.engine.forecasts.Load() - before
				}
				between(n)
			}
		}
		all, made := pages(text, func(int) {})
		if made != 1 || len(all) != 11 || all[0] != "more-0" || all[10] != "photos" {
			t.Errorf("%d forecasts, %q", made, all)
		}
		all, made = pages(text, func(n int) {
			if n == 1 { // the catalogue moves on
				if _, err := h.ctl.Resources.Create(t.Context(), &catalog.Zone{Name: "another"}); err != nil {
					t.Fatal(err)
				}
			}
		})
		if made != 2 || len(all) != 11 {
			t.Errorf("the catalogue moved on: %d forecasts, %q", made, all)
		}
		if _, made = pages(text+"# another\n", func(int) {}); made != 1 {
			t.Errorf("another document: %d forecasts", made)
		}
	})
}
