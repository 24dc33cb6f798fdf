// Schemas in the manner of those that requests bring, each with a document that follows it: for tokfs-bench grammar.
#ifndef TOKFS_BENCH_GRAMMAR_CASES_H
#define TOKFS_BENCH_GRAMMAR_CASES_H

struct grammar_case {
    const char *name, *schema, *text;
};

// clang-format off
static const struct grammar_case grammar_cases[] = {
    { "any_object", "{\"type\":\"object\"}",
      "{\n  \"model\": \"a \\u00e9 b\",\n  \"list\": [1, 2.5, -3e10, true, false, null, [[], [{}]], \"text with some words\"],\n"
      "  \"nested\": {\"a\": {\"b\": {\"c\": \"deep, deeper: {not} [an] object\"}}},\n  "
      "\"last\": \"\xd0\x9f\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82, \xe4\xbd\xa0\xe5\xa5\xbd\"\n}" },
    { "person",
      "{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\",\"maxLength\":200},\"age\":{\"type\":\"integer\",\"minimum\":0,"
      "\"maximum\":150},\"email\":{\"type\":\"string\",\"format\":\"email\"},\"born\":{\"type\":\"string\",\"format\":\"date-time\"},"
      "\"tags\":{\"type\":\"array\",\"items\":{\"enum\":[\"new\",\"old\",\"vip\"]},\"maxItems\":20},\"address\":{\"$ref\":"
      "\"#/$defs/address\"},\"friends\":{\"type\":\"array\",\"items\":{\"$ref\":\"#\"}},\"notes\":{\"type\":\"string\",\"pattern\":"
      "\"^[A-Z].{0,400}$\"}},\"required\":[\"name\",\"age\"],\"additionalProperties\":{\"type\":\"string\"},\"$defs\":{\"address\":{"
      "\"type\":\"object\",\"properties\":{\"street\":{\"type\":\"string\"},\"city\":{\"type\":\"string\"},\"zip\":{\"type\":\"string\","
      "\"pattern\":\"^\\\\d{5}$\"}},\"required\":[\"city\"],\"additionalProperties\":false}}}",
      "{\"name\": \"Ada Lovelace, Countess of Lovelace\", \"age\": 36, \"email\": \"ada@example.org\", \"born\": "
      "\"1815-12-10T08:30:00Z\", \"tags\": [\"new\", \"vip\"], \"address\": {\"street\": \"12 St James's Square \xe4\xb8\xad\xe6\x96\x87 "
      "caf\xc3\xa9\", \"city\": \"London\", \"zip\": \"12345\"}, \"friends\": [{\"name\": \"Charles Babbage\", \"age\": 79, \"friends\": "
      "[{\"name\": \"Mary Somerville\", \"age\": 91}]}], \"notes\": \"Wrote the first programme that was meant for a machine, with many "
      "remarks.\", \"language\": \"English and some \\\"French\\\"\\n\"}" },
    { "steps",
      "{\"type\":\"object\",\"properties\":{\"steps\":{\"type\":\"array\",\"items\":{\"type\":\"object\",\"properties\":{\"explanation\":{"
      "\"type\":\"string\"},\"output\":{\"type\":\"string\"}},\"required\":[\"explanation\",\"output\"],\"additionalProperties\":false}},"
      "\"final_answer\":{\"type\":\"string\"}},\"required\":[\"steps\",\"final_answer\"],\"additionalProperties\":false}",
      "{\"steps\":[{\"explanation\":\"Subtract 7 from both sides of the equation.\",\"output\":\"8x = -30\"},{\"explanation\":\"Divide "
      "both sides by 8.\",\"output\":\"x = -30 / 8\"}],\"final_answer\":\"x = -3.75\"}" },
    { "interface",
      "{\"type\":\"object\",\"properties\":{\"type\":{\"type\":\"string\",\"enum\":[\"div\",\"button\",\"header\",\"section\",\"field\","
      "\"form\"]},\"label\":{\"type\":\"string\"},\"children\":{\"type\":\"array\",\"items\":{\"$ref\":\"#\"}},\"attributes\":{\"type\":"
      "\"array\",\"items\":{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\"},\"value\":{\"type\":\"string\"}},"
      "\"additionalProperties\":false,\"required\":[\"name\",\"value\"]}}},\"required\":[\"type\",\"label\",\"children\",\"attributes\"],"
      "\"additionalProperties\":false}",
      "{\"type\":\"form\",\"label\":\"Sign up\",\"children\":[{\"type\":\"field\",\"label\":\"Name\",\"children\":[],\"attributes\":[{"
      "\"name\":\"placeholder\",\"value\":\"Your name\"}]},{\"type\":\"button\",\"label\":\"Go\",\"children\":[],\"attributes\":[]}],"
      "\"attributes\":[]}" },
    { "invoice",
      "{\"type\":\"object\",\"properties\":{\"invoice_number\":{\"type\":\"string\",\"pattern\":\"^INV-\\\\d{4,8}$\"},\"issued_on\":{"
      "\"type\":\"string\",\"format\":\"date\"},\"currency\":{\"enum\":[\"EUR\",\"USD\",\"GBP\",\"JPY\",\"CHF\"]},\"customer\":{\"type\":"
      "\"object\",\"properties\":{\"name\":{\"type\":\"string\"},\"vat_id\":{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"null\"}]}},"
      "\"required\":[\"name\",\"vat_id\"],\"additionalProperties\":false},\"lines\":{\"type\":\"array\",\"minItems\":1,\"maxItems\":100,"
      "\"items\":{\"type\":\"object\",\"properties\":{\"description\":{\"type\":\"string\"},\"quantity\":{\"type\":\"integer\",\"minimum\":"
      "1},\"unit_price\":{\"type\":\"number\",\"minimum\":0},\"tax_rate\":{\"type\":\"number\",\"minimum\":0,\"maximum\":100}},"
      "\"required\":[\"description\",\"quantity\",\"unit_price\",\"tax_rate\"],\"additionalProperties\":false}},\"total\":{\"type\":"
      "\"number\"},\"is_paid\":{\"type\":\"boolean\"}},\"required\":[\"invoice_number\",\"issued_on\",\"currency\",\"customer\",\"lines\","
      "\"total\",\"is_paid\"],\"additionalProperties\":false}",
      "{\"invoice_number\": \"INV-20417\", \"issued_on\": \"2026-03-09\", \"currency\": \"EUR\", \"customer\": {\"name\": \"Rossi & Figli "
      "S.p.A.\", \"vat_id\": null}, \"lines\": [{\"description\": \"Steel brackets, galvanised\", \"quantity\": 240, \"unit_price\": 1.85, "
      "\"tax_rate\": 22}, {\"description\": \"Delivery\", \"quantity\": 1, \"unit_price\": 39.9, \"tax_rate\": 22}], \"total\": 590.36, "
      "\"is_paid\": false}" },
    { "tool_arguments",
      "{\"type\":\"object\",\"properties\":{\"location\":{\"type\":\"string\",\"description\":\"City and country\"},\"unit\":{\"type\":"
      "\"string\",\"enum\":[\"celsius\",\"fahrenheit\"]},\"days\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":14},\"include\":{\"type\":"
      "\"array\",\"items\":{\"type\":\"string\"}}},\"required\":[\"location\"]}",
      "{\"location\": \"Oslo, Norway\", \"unit\": \"celsius\", \"days\": 10, \"include\": [\"wind\", \"precipitation\"]}" },
};
// clang-format on
#define N_GRAMMAR_CASES (sizeof(grammar_cases) / sizeof(*grammar_cases))

#endif
