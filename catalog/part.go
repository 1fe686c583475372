package catalog

// DecodePart is [DecodeResource] for a resource that is part of something larger: the
// fields of what is wrong with it begin with the path of the part, such as "clusters[3]". A
// missing name is wrong, because nothing else names a part. It returns either a resource or
// violations.
func DecodePart(k Kind, body []byte, path string) (Resource, []Violation) {
	r, d, err := decode(k, body)
	if err != nil {
		return nil, []Violation{{Field: path, Value: string(k), Expected: "a kind of resource"}}
	}
	if !d.wrong["body"] {
		for _, v := range check(r, nil) {
			d.addUnlessCovered(v)
		}
	}
	if len(d.out) > 0 {
		return nil, inPart(path, d.out)
	}
	return r, nil
}

// ValidatePart is [ValidateResource] for a part, see [DecodePart]. Whether policies allow
// the primary that a bucket names is left to [PrimaryAllowed].
func ValidatePart(r Resource, in Lookup, path string) []Violation {
	c := &checker{in: in, anyPrimary: true}
	c.resource(r)
	return inPart(path, c.out)
}

// inPart puts the path of a part before the fields of violations.
func inPart(path string, out []Violation) []Violation {
	for i := range out {
		switch field := out[i].Field; field {
		case "", "body":
			out[i].Field = path
		default:
			out[i].Field = path + "." + field
		}
	}
	return out
}
