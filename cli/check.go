package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/fado-project/fado/client"
)

// checked is what was found of a cluster.
type checked struct {
	OK      bool
	Storage *struct {
		State, Error string
		Capabilities map[string]any
		Skew         *float64 `json:"clock_skew_s"`
		Took         float64  `json:"took_ms"`
	}
	Functions []struct {
		URL, Error string
		Healthy    bool
	}
}

func checkCommand() *cobra.Command {
	return &cobra.Command{
		Use: "check <cluster>", Short: "Checks a cluster's storage, credentials, clock and functions now; writes nothing", Args: these(1, 1),
		Long: `
Checks whether a cluster can be reached with its credentials, what its storage offers,
how far its clock is off, and whether its functions are well. Nothing is written.

Exit status: 0 if all is well, 2 if something is not, 1 for an error.
`,
		RunE: run(func(ctx context.Context, s *session) (status int, err error) {
			var declared json.RawMessage
			if err := s.api.Get(ctx, client.Path("clusters", s.args[0]), nil, &declared); err != nil {
				return 0, err
			}
			r := client.Request{Method: http.MethodPost, Path: client.Path("clusters", "check"), Body: []byte(declared)}
			var raw json.RawMessage
			if _, err := s.api.Do(ctx, r, &raw); err != nil {
				return 0, err
			}
			var c checked
			if err := json.Unmarshal(raw, &c); err != nil {
				return 0, fmt.Errorf("reading what was found of %s: %w", s.args[0], err)
			}
			if !c.OK {
				status = exitDiffers
			}
			if s.json {
				return status, s.out.print(raw)
			}
			c.show(s.out)
			return status, nil
		}),
	}
}

func (c *checked) show(out printer) {
	t := newTable("WHAT", "STATE", "FOUND")
	if st := c.Storage; st != nil {
		found := fmt.Sprintf("%v, answered in %.0f ms", st.Capabilities["provider"], st.Took)
		if st.Skew != nil {
			found += fmt.Sprintf(", its clock is %+.1f s off", *st.Skew)
		}
		if st.Error != "" {
			found = st.Error
		}
		t.add("storage", st.State, found)
	}
	for _, f := range c.Functions {
		state := "healthy"
		if !f.Healthy {
			state = "unhealthy"
		}
		t.add(f.URL, state, orDash(f.Error))
	}
	out.tell(t)
}
