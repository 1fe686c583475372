package admin

import "testing"

// What would be is told by the code that decides, and changes nothing.
func TestWhatIf(t *testing.T) {
	h := withCopies(t)
	now := h.do("GET", "/fado/route?bucket=photos&trace=true", "").want(200)
	same := h.do("POST", "/fado/route", `{"bucket":["photos"]}`).want(200)
	if string(now.body) != string(same.body) {
		t.Errorf("nothing is otherwise:\n%s\n%s", now.body, same.body)
	}
	if n := len(now.at("steps").([]any)); n != 5 || now.at("steps", 0, "step") != "Allowed" {
		t.Errorf("%s", now.body)
	}
	cluster, ok := now.at("decision", "cluster").(string)
	if !ok {
		t.Fatalf("%s", now.body)
	}
	down := h.do("POST", "/fado/route", `{"bucket":["photos"],"down":["`+cluster+`"],"spill":2}`).want(200)
	if d, ok := down.at("decision").(map[string]any); ok && d["cluster"] == cluster {
		t.Errorf("it is down: %s", down.body)
	}
	if n := len(down.at("steps").([]any)); n != 6 {
		t.Errorf("with spill: %s", down.body)
	}
	policy := h.do("GET", "/fado/buckets/photos", "").want(200).at("policy").(string)
	none := h.do("POST", "/fado/route", `{"bucket":["photos"],"policies":[{"name":"`+policy+`","exclude_zones":["eu"]}]}`).want(200)
	if none.at("decision") != nil {
		t.Errorf("by another policy: %s", none.body)
	}
	if again := h.do("GET", "/fado/route?bucket=photos&trace=true", "").want(200); string(again.body) != string(now.body) {
		t.Errorf("afterwards: %s", again.body)
	}
	for body, says := range map[string]string{
		`{"down":["nowhere"]}`: "name of a cluster", `{"spill":-1}`: "positive", `{"policies":[{"name":"p","zones":["nowhere"]}]}`: "nowhere",
		`{"buckets":[]}`: "expected", `{"object":["x"]}`: "bucket",
	} {
		h.do("POST", "/fado/route", body).want(400).says(says)
	}
}
