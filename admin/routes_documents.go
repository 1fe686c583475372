package admin

import (
	"net/http"

	"github.com/fado-project/fado/admin/internal/documents"
)

const mediaYAML = "application/yaml"

func documentsOf(c *call) *documents.Handler {
	return &documents.Handler{Catalogue: c.catalogue, Engine: c.engine.reports, Secrets: c.secrets, Plans: c.planned}
}

func planDocument(c *call) error   { return documentsOf(c).Plan(c.Request) }
func applyDocument(c *call) error  { return documentsOf(c).Apply(c.Request) }
func exportDocument(c *call) error { return documentsOf(c).Export(c.Request) }

// documentOperations are those on whole documents.
func documentOperations() operations {
	types := []string{mediaJSON, mediaYAML}
	return operations{
		{
			name: "plan", method: http.MethodPost, pattern: "/fado/plan", role: roleOperator, handle: planDocument, effect: effectReads,
			params: []parameter{
				{name: "limit", doc: "The most moves and the most changes that are listed. Default: 1000.", integer: true},
				{name: "after", doc: "List only the moves after this one: moves.next of the plan before."},
				{name: "changes_after", doc: "List only the changes after this one: changes_next of the plan before."},
			},
			summary: "What a document would change, move, cost and break. Nothing is changed.",
			request: documents.Document{}, requestTypes: types,
			replies: []reply{{status: 200, doc: "The plan; its totals are of all buckets. The ETag is the catalogue's revision.", body: documents.Plan{}, headers: []string{"ETag"}}},
			errors:  []int{400, 409, 413, 503},
		},
		{
			name: "apply", method: http.MethodPost, pattern: "/fado/apply", role: roleAdmin, handle: applyDocument, effect: effectChanges,
			summary: "Make the changes that a document asks for, all of them or none.",
			request: documents.Document{}, requestTypes: types, revised: true,
			replies: []reply{{status: 200, doc: "Done, durable, and routed by.", body: documents.Applied{}, headers: []string{"ETag"}}},
			errors:  []int{400, 409, 412, 413, 503},
		},
		{
			name: "export", method: http.MethodGet, pattern: "/fado/export", role: roleViewer, handle: exportDocument,
			params: []parameter{
				{name: "format", enum: []string{"json", "yaml"}, doc: "How the document is written. Default: json."},
				{name: "origin", enum: []string{"api", "all"}, doc: "Whose resources are in it: those that the API made, or also those that the configuration declares. Default: api."},
			},
			summary: "The catalogue as a document, in its canonical form; literal secrets read \"***\".",
			replies: []reply{{status: 200, doc: "The document.", body: documents.Document{}, also: []string{mediaYAML}, headers: []string{"ETag"}}},
			errors:  []int{400, 503},
		},
	}
}
