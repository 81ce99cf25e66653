package stripetest

func (s *Server) portalRoutes() {
	s.route("POST /v1/billing_portal/sessions", "", "customer:customer! return_url locale configuration", func(c *call) (object, *refusal) {
		session := s.add("billing_portal.session", object{
			"configuration": "bpc_000001", "customer": c.str("customer"), "customer_account": nil, "flow": nil,
			"locale": text(c.str("locale")), "on_behalf_of": nil, "return_url": text(c.str("return_url")),
		})
		session["url"] = s.hosted("billing", "p/session/"+session.id())
		return session, nil
	})
}
