package page

import (
	"context"
	"errors"

	"mana.how/edge/authcore"
	"mana.how/edge/caddymodule/api/endpoint"
)

// rootPage leads to the account or, without a session, to sign-in.
func rootPage(ctx context.Context, c *endpoint.Call, _ endpoint.None) (endpoint.Answer, error) {
	_, err := c.Auth.BrowserSession(ctx, c.Request.Header["Cookie"])
	switch {
	case errors.Is(err, authcore.ErrNoSession):
		return endpoint.Redirect{To: "/login"}, nil
	case err != nil:
		return nil, err
	}
	return endpoint.Redirect{To: "/account"}, nil
}

// icon is asked for by browsers whatever the page says.
func icon(_ context.Context, c *endpoint.Call, _ endpoint.None) (endpoint.Document, error) {
	return endpoint.Document{ContentType: "image/svg+xml", CacheControl: "public, max-age=86400", Body: c.Brand().Icon()}, nil
}

type brandRequest struct {
	File string `path:"file" rule:"string"`
}

// inertPolicy keeps a picture from doing anything where it is opened by itself.
const inertPolicy = "default-src 'none';style-src 'unsafe-inline';img-src data:;frame-ancestors 'none';sandbox"

// brandPicture is the logo of the brand. Its path names its content, so that it may be
// kept for ever.
func brandPicture(_ context.Context, c *endpoint.Call, req brandRequest) (endpoint.Answer, error) {
	logo := c.Brand().Shown()
	if logo.Path() != "/brand/"+req.File {
		return nil, errNoPicture
	}
	c.Header.Set("Content-Security-Policy", inertPolicy)
	return endpoint.Document{ContentType: logo.Type, CacheControl: "public, max-age=31536000, immutable", Body: logo.Content}, nil
}

var errNoPicture = &endpoint.Error{Status: 404, Code: "NOT_FOUND", Message: "There is no such picture"}
