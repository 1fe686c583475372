package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/fado-project/fado/examples/internal/stage"
)

// commands prints what to try while the demo stays up.
func commands(say *stage.Display, w *world, link string) {
	say.Line(fmt.Sprintf(`
Everything stays up. Try, from another terminal:

  # an invocation that names a bucket and an object
  curl -i -H 'X-FaDO-Bucket: reports' -H 'X-FaDO-Object: q1/report-000.bin' %[1]s/summarise
  # where would it go, and why?
  curl '%[2]s/fado/route?bucket=reports&object=q1/report-000.bin'
  # where are the copies, and why there?
  curl %[2]s/fado/buckets/reports
  curl '%[2]s/fado/buckets/reports/placement'
  # what would it take to move the data back to Europe? do it, and watch it go
  echo '{"fado":1,"policies":[{"name":"reports","zones":["eu"],"copies":2}]}' > eu.json
  bin/caddy fado plan --address %[10]s -f eu.json
  curl -N %[2]s/fado/events &
  bin/caddy fado apply --address %[10]s -f eu.json
  # write an object with any S3 client, at FaDO's own endpoint
  AWS_ACCESS_KEY_ID=%[3]s AWS_SECRET_ACCESS_KEY=%[4]s aws --endpoint-url http://127.0.0.1:%[9]d s3 cp README.md s3://reports/
  # or at a storage
  AWS_ACCESS_KEY_ID=%[3]s AWS_SECRET_ACCESS_KEY=%[4]s aws --endpoint-url %[5]s s3 cp README.md s3://reports/
  # metrics
  curl -s %[2]s/metrics | grep caddy_fado

Console: %[11]s
  (for one browser, once, within 5 minutes; another one: bin/caddy fado sign-in --address %[10]s --url %[12]s)
Storages: %[6]s · functions: %[7]s
Logs: %[8]s
Ctrl-C ends it and removes its data.`,
		w.URL, w.AdminURL, stage.AccessKey, stage.SecretKey, w.places[0].MinIO.Endpoint,
		w.places.List(func(p *stage.Place) string { return p.Name + " " + p.MinIO.Endpoint }),
		w.places.List(func(p *stage.Place) string { return p.Name + " http://" + p.FnAddr }), w.dir, w.s3Port,
		strings.TrimPrefix(w.AdminURL, "http://"), link, w.console))
}

// signIn makes a link that opens the console.
func (w *world) signIn(ctx context.Context) (string, error) {
	var made struct{ Link string }
	err := w.API(ctx, "POST", "/fado/console/links", map[string]string{"url": w.console}, &made)
	return made.Link, err
}
