// Package client talks to FaDO's admin API: requests and answers as JSON, errors as the API
// tells them, documents, plans and streams of events.
//
// It knows HTTP and nothing else of FaDO, so that programs of your own can use it; the
// commands of "caddy fado" do. What can be asked is in docs/api.md and in the document that
// GET /fado/openapi.json returns. A [Client] is safe for concurrent use.
package client
