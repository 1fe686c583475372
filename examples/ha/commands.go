package main

import (
	"fmt"

	"github.com/fado-project/fado/examples/internal/stage"
)

// commands prints what to try while the example stays up.
func commands(say *stage.Display, w *world) {
	say.Line(fmt.Sprintf(`
Everything stays up. Try, from another terminal:

  # an invocation, through the load balancer
  curl -i -H 'X-FaDO-Bucket: shared' -H 'X-FaDO-Object: part-0/object-0000.bin' %[1]s/summarise
  # make a change at one instance, and see it at the other
  curl -X POST %[2]s/fado/buckets -H 'Content-Type: application/json' -d '{"name":"mine","policy":"everywhere"}'
  curl '%[3]s/fado/route?bucket=mine'
  # who is who, and how each instance is
  curl %[2]s/fado/ ; curl %[3]s/fado/
  # kill an instance, and invoke again
  kill -9 %[4]d

Storages: %[5]s · PostgreSQL: %[6]s
Logs and data: %[7]s
Ctrl-C ends it and removes its data.`,
		w.URL, w.nodes[0].AdminURL, w.nodes[1].AdminURL, w.nodes[0].proc.PID(),
		w.places.List(func(p *stage.Place) string { return p.Name + " " + p.MinIO.Endpoint }), w.postgres.Addr(), w.dir))
}
