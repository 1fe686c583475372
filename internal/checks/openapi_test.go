package checks

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/getkin/kin-openapi/openapi3"

	_ "github.com/fado-project/fado/admin"
)

// TestOpenAPIIsValid: the document the API serves is OpenAPI as another implementation
// reads it.
func TestOpenAPIIsValid(t *testing.T) {
	info, err := caddy.GetModule("admin.api.fado")
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, "/fado/openapi.json", nil)
	if err := info.New().(caddy.AdminRouter).Routes()[0].Handler.ServeHTTP(w, r); err != nil {
		t.Fatal(err)
	}
	doc, err := openapi3.NewLoader().LoadFromData(w.Body.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(t.Context()); err != nil {
		t.Error(err)
	}
	if doc.OpenAPI != "3.1.0" || len(doc.Paths.Map()) < 20 {
		t.Errorf("version %s with %d paths", doc.OpenAPI, len(doc.Paths.Map()))
	}
}
