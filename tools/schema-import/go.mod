module knarr/tools/schema-import

go 1.21
