package page

import (
	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/pages"
)

// workAnswer shows a form again that lacks its proof of work, which comes with
// it. Other errors come back as they are.
func workAnswer(c *endpoint.Call, err error, view pages.View) (endpoint.Answer, error) {
	if p := c.Known(err); p == nil || p.Code != endpoint.ErrWorkRequired.Code {
		return nil, err
	}
	return endpoint.HTML{Status: endpoint.ErrWorkRequired.Status, View: view}, nil
}
