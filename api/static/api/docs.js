// In a file of its own: the Content-Security-Policy allows no script inside the page.
"use strict";
SwaggerUIBundle({
  url: "schema",
  dom_id: "#swagger-ui",
  deepLinking: true,
  persistAuthorization: false,
  validatorUrl: null,
  presets: [SwaggerUIBundle.presets.apis, SwaggerUIStandalonePreset],
  layout: "BaseLayout",
});
