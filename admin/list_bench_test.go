package admin

import (
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/fado-project/fado/catalog"
	"github.com/fado-project/fado/control"
	"github.com/fado-project/fado/state"
)

// BenchmarkList lists 10,000 buckets of three copies each, with and without status.
func BenchmarkList(b *testing.B) {
	const n = 10_000
	cfg := control.Config{Zones: []*catalog.Zone{{Name: "eu"}}}
	for i := range 3 {
		cfg.Clusters = append(cfg.Clusters, &catalog.Cluster{
			Name: fmt.Sprintf("c%d", i), Zones: []string{"eu"},
			Storage: &catalog.Storage{Endpoint: fmt.Sprintf("http://127.0.0.1:%d", 9010+i)},
		})
	}
	for i := range n {
		cfg.Buckets = append(cfg.Buckets, &catalog.Bucket{Name: fmt.Sprintf("bucket-%05d", i)})
	}
	h := start(b, cfg)
	for _, bucket := range cfg.Buckets {
		err := h.ctl.Copies.Update(b.Context(), bucket.Name, func([]state.Copy) (rows []state.Copy, _ error) {
			for i := range 3 {
				rows = append(rows, state.Copy{Bucket: bucket.Name, Copy: catalog.Copy{
					Cluster: fmt.Sprintf("c%d", i), Primary: i == 0, State: catalog.CopySynced,
				}})
			}
			return rows, nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	for _, query := range []string{"", "?status=false"} {
		b.Run("buckets"+query, func(b *testing.B) {
			for b.Loop() {
				resp, err := http.Get(h.url + "/fado/buckets" + query)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := io.Copy(io.Discard, resp.Body); err != nil {
					b.Fatal(err)
				}
				resp.Body.Close()
			}
		})
	}
}
