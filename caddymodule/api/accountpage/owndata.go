package accountpage

import (
	"context"
	"strings"

	"mana.how/edge/caddymodule/api/endpoint"
	"mana.how/edge/caddymodule/api/sso"
	"mana.how/edge/caddymodule/pages"
)

// dataPage offers what is kept of the account as a file, and its end.
func dataPage(ctx context.Context, c *endpoint.Call, _ endpoint.None) (endpoint.Answer, error) {
	if away, err := sso.SignedIn(ctx, c, dataPath); away != nil || err != nil {
		return away, err
	}
	return dataAnswer(ctx, c, 200, pages.OwnData{})
}

func dataAnswer(ctx context.Context, c *endpoint.Call, status int, view pages.OwnData) (endpoint.Answer, error) {
	var err error
	if view.Proof, err = proofOf(ctx, c); err != nil {
		return nil, err
	}
	view.Email = c.Email
	return endpoint.HTML{Status: status, View: view}, nil
}

// exportForm answers with the file, for who has authenticated recently.
func (d Deps) exportForm(ctx context.Context, c *endpoint.Call, _ endpoint.None) (endpoint.Answer, error) {
	if away, err := sso.OwnForm(ctx, c, dataPath); away != nil || err != nil {
		return away, err
	}
	file, err := d.OwnData.Export(ctx, c)
	if err != nil {
		return sso.Refused(c, err, dataPath, func(status int, code string) (endpoint.Answer, error) {
			return dataAnswer(ctx, c, status, pages.OwnData{Error: code})
		})
	}
	return file, nil
}

type dataFormRequest struct {
	Confirm  string `json:"confirm" rule:"optional,max=254,string"`
	Password string `json:"password" rule:"optional,max=1024,string"`
}

// dataForm deletes the account of who has typed its address, and says so: there is
// nobody left to lead anywhere.
func (d Deps) dataForm(ctx context.Context, c *endpoint.Call, req dataFormRequest) (endpoint.Answer, error) {
	if away, err := sso.OwnForm(ctx, c, dataPath); away != nil || err != nil {
		return away, err
	}
	if len(c.FieldErrors) > 0 || !strings.EqualFold(strings.TrimSpace(req.Confirm), c.Email) {
		return dataAnswer(ctx, c, errConfirmation.Status, pages.OwnData{Error: errConfirmation.Code})
	}
	waiting, err := d.OwnData.Erase(ctx, c, req.Password)
	if err != nil {
		return sso.Refused(c, err, dataPath, func(status int, code string) (endpoint.Answer, error) {
			return dataAnswer(ctx, c, status, pages.OwnData{Error: code})
		})
	}
	sso.Clear(c)
	return endpoint.HTML{Status: 200, View: pages.Left{Waiting: waiting}}, nil
}
