{
    "name": "MicroSaaS web shop",
    "summary": "Sell Odoo hosting from the web shop: plan pages, instance names, a one-click set-up",
    # The whole series in front: the shop's cart is another one in 18, so this addon is for 19 alone.
    "version": "19.0.1.0.0",
    "category": "Website/Website",
    "license": "LGPL-3",
    "author": "MicroSaaS",
    "depends": ["micro_saas", "website_sale", "sale_management"],
    "data": [
        "security/ir.model.access.csv",
        "views/product_template_views.xml",
        "views/sale_order_views.xml",
        "views/sale_order_portal_templates.xml",
        "views/website_sale_templates.xml",
        "views/res_config_settings_views.xml",
    ],
    "assets": {
        "web.assets_frontend": ["micro_saas_website/static/src/cart/**/*"],
    },
}
