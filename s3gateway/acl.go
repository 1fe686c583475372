package s3gateway

import (
	"encoding/xml"
	"net/http"

	"github.com/fado-project/fado/routing"
	"github.com/fado-project/fado/s3gateway/internal/s3err"
	"github.com/fado-project/fado/s3gateway/internal/wire"
	"github.com/fado-project/fado/storage"
)

// accessControl is the one ACL that everything here has.
type accessControl struct {
	XMLName xml.Name `xml:"AccessControlPolicy"`
	Xmlns   string   `xml:"xmlns,attr"`
	Owner   *wire.Owner
	Grants  []grant `xml:"AccessControlList>Grant"`
}

type grant struct {
	Grantee    grantee
	Permission string
}

type grantee struct {
	XSI         string `xml:"xmlns:xsi,attr"`
	Type        string `xml:"xsi:type,attr"`
	ID          string
	DisplayName string
}

// getACL answers GetBucketAcl and GetObjectAcl as S3 does where ACLs are switched off.
func getACL(c reader) error {
	if c.key != "" {
		if err := mustExist(c); err != nil {
			return err
		}
	}
	c.writeXML(http.StatusOK, accessControl{Xmlns: wire.Namespace, Owner: wire.TheOwner, Grants: []grant{{
		Grantee:    grantee{XSI: "http://www.w3.org/2001/XMLSchema-instance", Type: "CanonicalUser", ID: wire.TheOwner.ID, DisplayName: wire.TheOwner.DisplayName},
		Permission: "FULL_CONTROL",
	}}})
	return nil
}

// putACL answers PutBucketAcl and PutObjectAcl: nothing but what everything has is possible.
func putACL(c reader) error {
	if err := wire.CheckHeaders(c.r.Header); err != nil {
		return err
	}
	b, err := c.readBody(wire.MaxSmallXML)
	if err != nil {
		return err
	}
	switch canned := c.r.Header.Get("X-Amz-Acl") != ""; {
	case !canned:
		if err := checkACL(b); err != nil {
			return err
		}
	case len(b) > 0: // it might grant more than the header says
		return s3err.BadRequest("UnexpectedContent", "This request does not support content.")
	}
	if c.key != "" {
		if err := mustExist(c); err != nil {
			return err
		}
	}
	c.writeBody(http.StatusOK, "", nil)
	return nil
}

// checkACL refuses documents that grant anything but full control to the owner, which is how
// clients write back what they read.
func checkACL(doc []byte) error {
	var acl struct {
		XMLName xml.Name `xml:"AccessControlPolicy"`
		Grants  []struct {
			ID         string `xml:"Grantee>ID"`
			Permission string
		} `xml:"AccessControlList>Grant"`
	}
	if err := wire.ParseXML(doc, &acl); err != nil {
		return err
	}
	for _, g := range acl.Grants {
		if g.ID != wire.TheOwner.ID || g.Permission != "FULL_CONTROL" {
			return s3err.NoACLs()
		}
	}
	return nil
}

// mustExist returns NoSuchKey where there is no such object.
func mustExist(c reader) error {
	holders, err := c.readers(routing.Input{Bucket: c.bucket, Key: c.key, Scope: routing.ScopeObject}, onlySame)
	if err != nil {
		return err
	}
	a, _, err := c.askAny(holders, storage.Forward{
		Name: c.op.name, Method: http.MethodHead, Bucket: c.bucket, Key: c.key, Query: wire.Pick(c.query, []string{"versionId"}), Content: true,
	})
	if err != nil {
		return err
	}
	defer a.Body.Close()
	if a.Status != http.StatusOK {
		return c.storageError(a.Status, a.Header, a.Body)
	}
	return nil
}
