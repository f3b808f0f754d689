"""Why the sidecar does what nobody has asked for, as sentences in the reader's language.

test/unit/reasons.test.ts of the sidecar fails on a word of src/instance/drift.ts that has no sentence here.
"""


def drift_sentence(env, word):
    """Return the sentence for what was not as it should be; "" for no word, or one of a later version.

    :param word: one CamelCase word, maybe False or None
    """
    _ = env._
    sentences = {
        "ContainersGone": lambda: _("Its containers were gone."),
        "ContainersEnded": lambda: _("Its containers had ended."),
        "ContainersPaused": lambda: _("Its containers were paused."),
        "ContainersInPart": lambda: _("Some of its containers had ended."),
        "DatabaseEnded": lambda: _("Its database server had ended."),
        "Silent": lambda: _("Odoo hangs, or has too much to do."),
        "StartedByOthers": lambda: _("Somebody had started its containers on the server."),
    }
    return sentences[word]() if word in sentences else ""
