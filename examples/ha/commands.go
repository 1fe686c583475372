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
  # write at one instance, read at the other
  export AWS_ACCESS_KEY_ID=%[8]s AWS_SECRET_ACCESS_KEY=%[9]s
  aws --endpoint-url %[10]s s3 cp README.md s3://shared/ ; aws --endpoint-url %[11]s s3 cp s3://shared/README.md -
  # who is who, and how each instance is
  curl %[2]s/fado/ ; curl %[3]s/fado/
  # kill an instance, and invoke again
  kill -9 %[4]d

Storages: %[5]s · PostgreSQL: %[6]s
Logs and data: %[7]s
Ctrl-C ends it and removes its data.`,
		w.URL, w.nodes[0].AdminURL, w.nodes[1].AdminURL, w.nodes[0].proc.PID(),
		w.places.List(func(p *stage.Place) string { return p.Name + " " + p.MinIO.Endpoint }), w.postgres.Addr(), w.dir,
		stage.AccessKey, stage.SecretKey, w.nodes[0].s3.EndpointURL(), w.nodes[1].s3.EndpointURL()))
}
