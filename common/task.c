// SPDX-License-Identifier: MIT
#include "common/task.h"

#include <stdio.h>
#include <string.h>

#include "common/banned.h"

static const struct {
	const char *word;
	bool takes_flake;
} kinds[TASK_KINDS] = {
	[TASK_TAGS] = { "*tags", true },
	[TASK_NAMES] = { "*names", false },
	[TASK_HEALTH] = { "*health", false },
};

void task_init(struct task *task, enum task_kind kind, const char *flake)
{
	task->kind = kind;
	snprintf(task->flake, sizeof(task->flake), "%s",
		 kinds[kind].takes_flake ? flake : "");
	snprintf(task->text, sizeof(task->text), "%s%s%s", kinds[kind].word,
		 *task->flake ? " " : "", task->flake);
}

const char *task_str(const struct task *task)
{
	return task->text;
}

bool task_is(const char *text)
{
	return text[0] == '*';
}

int task_parse(struct task *task, const char *text, struct err *err)
{
	size_t len = strcspn(text, " ");
	const char *flake = text[len] ? text + len + 1 : "";
	struct repository_name name;

	for (enum task_kind kind = 0; kind < TASK_KINDS; kind++) {
		if (strlen(kinds[kind].word) != len ||
		    memcmp(kinds[kind].word, text, len))
			continue;
		if (text[len] &&
		    (!kinds[kind].takes_flake ||
		     repository_name_parse(&name, flake, strlen(flake), err)))
			break;
		task_init(task, kind, flake);
		return 0;
	}
	return err_set(err, ERR_MALFORMED, "there is no such task");
}

void task_key(const struct task *task, struct digest *key)
{
	digest_of(task->text, strlen(task->text), key);
}
