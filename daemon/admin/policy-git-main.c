/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * givc-policy-git URL REF DIRECTORY NAME...: brings those policies that a commit of a repository has from it
 * to DIRECTORY/NAME/policy.bin: the commit whole, or nothing of it. REF is a branch, a tag or a commit. For
 * the admin: policy-helper.h. Where something has changed, the line on standard error says which commit.
 *
 * The repository is downloaded anew for each commit, and gone afterwards: what servers are asked for
 * usually is which commit there is now, and nothing that they have sent stays on the disk, to grow, to be
 * left half by a crash, or to be read by a program of another version.
 */
#include "file.h"
#include "policies.h"
#include "policy-helper.h"
#include "text.h"

#include <fcntl.h>
#include <ftw.h>
#include <git2.h>
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#endif
#include <stdio.h>
#include <sys/stat.h>

/* No commit but that one; before 1.7, libgit2 takes all of its history, too. */
#if LIBGIT2_VER_MAJOR > 1 || LIBGIT2_VER_MINOR >= 7
#define GIT_DEPTH 1
#endif
/* What is downloaded. That a small download becomes a large object is bounded by what memory we may have. */
#define DOWNLOAD_MAX  (48 * 1024 * 1024)
#define OBJECTS_MAX   200000
#define ID_CHARACTERS GIT_OID_HEXSZ
#define REPOSITORY    ".repository"
#define COMMIT        ".commit"
/* URL, commit, and names. */
#define STATE_MAX (POLICY_URL_MAX + ID_CHARACTERS + POLICIES_MAX * 256 + 16)
/* From the address that was given to another one; never from https to http. */
#define REDIRECTS GIT_REMOTE_REDIRECT_INITIAL
/* Where policies are in it, as in the store. */
#define POLICIES_PATH "vm-policies"

struct job {
        const char *url;
        const char *ref;
        const char *directory;
        char *const *names;
        size_t n_names;
        char *repository_path;
        char *state_path;

        git_repository *repository;
        char ref_found[512];
        git_oid id; /* what it points to */
        char id_text[ID_CHARACTERS + 1];
        bool too_large;

        git_oid blobs[POLICIES_MAX];
        bool found[POLICIES_MAX]; /* that the commit has it */
};

DEFINE_CLEANUP(git_remote, git_remote_free)
DEFINE_CLEANUP(git_object, git_object_free)
DEFINE_CLEANUP(git_tree, git_tree_free)
DEFINE_CLEANUP(git_blob, git_blob_free)
DEFINE_CLEANUP(git_odb, git_odb_free)

#ifdef __SANITIZE_ADDRESS__
/* libgit2 1.5 loses some of what it matches patterns with. */
_public_ const char *__lsan_default_suppressions(void) {
        return "leak:libpcre2";
}

_public_ const char *__lsan_default_options(void) {
        return "print_suppressions=0";
}
#endif

static int fail_git(const char *what) {
        const git_error *error = git_error_last();

        return policy_helper_fail(what, error && error->message ? error->message : "it is not said why");
}

/* ---- directories ---- */

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw) {
        return remove(path) < 0 ? errno : 0;
}

/* Also what one that was ended has left. */
static int remove_repository(const struct job *job) {
        int r = nftw(job->repository_path, remove_one, 16, FTW_DEPTH | FTW_PHYS);

        return r == 0 || (r < 0 && errno == ENOENT)
                        ? 0
                        : policy_helper_fail(job->repository_path, strerror(r < 0 ? errno : r));
}

/* ---- which commit ---- */

static const git_remote_head *find_head(const git_remote_head **heads, size_t n, const char *name) {
        for (size_t i = 0; i < n; i++)
                if (streq(heads[i]->name, name))
                        return heads[i];
        return NULL;
}

/* A branch goes before a tag of its name. As with git, a commit's id is nothing else: a server that has a
 * branch of that name could otherwise give another commit for it. */
static int find_ref(struct job *job, git_remote *remote) {
        static const char *const kinds[] = { "refs/heads/", "refs/tags/", "" };
        bool is_id = strlen(job->ref) == ID_CHARACTERS && git_oid_fromstr(&job->id, job->ref) >= 0;
        const git_remote_head **heads, *head = NULL;
        size_t n;

        if (git_remote_ls(&heads, &n, remote) < 0)
                return fail_git("the repository");
        for (size_t i = 0; !is_id && !head && i < ELEMENTSOF(kinds); i++) {
                (void) snprintf(job->ref_found, sizeof(job->ref_found), "%s%s", kinds[i], job->ref);
                head = find_head(heads, n, job->ref_found);
        }
        if (is_id)
                (void) snprintf(job->ref_found, sizeof(job->ref_found), "%s", job->ref);
        else if (head)
                job->id = head->oid;
        else
                return policy_helper_fail(job->ref, "the repository has no such branch or tag");
        git_oid_tostr(job->id_text, sizeof(job->id_text), &job->id);
        return 0;
}

static int ask(struct job *job) {
        git_remote_connect_options options = GIT_REMOTE_CONNECT_OPTIONS_INIT;
        _cleanup_(git_remote_freep) git_remote *remote = NULL;

        options.follow_redirects = REDIRECTS;
        if (git_remote_create_detached(&remote, job->url) < 0 ||
                        git_remote_connect_ext(remote, GIT_DIRECTION_FETCH, &options) < 0)
                return fail_git("the repository");
        return find_ref(job, remote);
}

/* ---- what was fetched the last time ---- */

/* What is in force when all is well: of which repository, which commit, and which of its policies. */
static char *describe_state(const struct job *job) {
        char *text = text_printf("%s\n%s\n", job->url, job->id_text);

        for (size_t i = 0; text && i < job->n_names; i++) {
                char *longer = text_printf("%s%s\n", text, job->names[i]);

                free(text);
                text = longer;
        }
        return text;
}

static bool is_known(const struct job *job, const char *state) {
        _cleanup_(freep) char *text = NULL;

        return text_read_file(job->state_path, STATE_MAX, &text, NULL) >= 0 && streq(text, state);
}

/* ---- download ---- */

static int on_progress(const git_indexer_progress *progress, void *userdata) {
        struct job *job = userdata;

        job->too_large = progress->received_bytes > DOWNLOAD_MAX;
        return job->too_large ? GIT_EUSER : 0;
}

static int download(struct job *job) {
        git_repository_init_options init = GIT_REPOSITORY_INIT_OPTIONS_INIT;
        git_fetch_options options = GIT_FETCH_OPTIONS_INIT;
        _cleanup_(git_remote_freep) git_remote *remote = NULL;
        char *spec = job->ref_found;
        const git_strarray specs = { &spec, 1 };

        init.flags = GIT_REPOSITORY_INIT_BARE | GIT_REPOSITORY_INIT_NO_REINIT | GIT_REPOSITORY_INIT_MKDIR;
        if (git_repository_init_ext(&job->repository, job->repository_path, &init) < 0)
                return fail_git(job->repository_path);
        options.callbacks.transfer_progress = on_progress;
        options.callbacks.payload = job;
        options.download_tags = GIT_REMOTE_DOWNLOAD_TAGS_NONE;
        options.follow_redirects = REDIRECTS;
#ifdef GIT_DEPTH
        options.depth = GIT_DEPTH;
#endif
        if (git_remote_create_anonymous(&remote, job->repository, job->url) >= 0 &&
                        git_remote_download(remote, &specs, &options) >= 0)
                return 0;
        return job->too_large ? policy_helper_fail(job->ref, "the repository is larger than 48 MiB")
                              : fail_git(job->ref);
}

/* ---- the commit's policies ---- */

static int check_size(const struct job *job, const char *name, const git_oid *id) {
        _cleanup_(git_odb_freep) git_odb *odb = NULL;
        git_object_t type;
        size_t size;

        if (git_repository_odb(&odb, job->repository) < 0 || git_odb_read_header(&size, &type, odb, id) < 0)
                return fail_git(name);
        if (type != GIT_OBJECT_BLOB)
                return policy_helper_fail(name, "it is not a file");
        return size > POLICY_BYTES_MAX ? policy_helper_fail(name, "it is larger than 16 MiB") : 0;
}

/* The first file by name, hidden ones and directories apart, as in the store; trees are sorted so. */
static int choose_file(struct job *job, size_t i, const git_tree *directory) {
        const char *name = job->names[i];

        for (size_t k = 0; k < git_tree_entrycount(directory); k++) {
                const git_tree_entry *entry = git_tree_entry_byindex(directory, k);
                git_filemode_t mode = git_tree_entry_filemode(entry);

                if (git_tree_entry_name(entry)[0] == '.' || mode == GIT_FILEMODE_TREE)
                        continue;
                if (mode != GIT_FILEMODE_BLOB && mode != GIT_FILEMODE_BLOB_EXECUTABLE)
                        return policy_helper_fail(name, "its first file is a link or a submodule");
                job->blobs[i] = *git_tree_entry_id(entry);
                job->found[i] = true;
                return check_size(job, name, &job->blobs[i]);
        }
        return 0;
}

/* NULL in *ret: there is no such thing in it. */
static int open_below(const struct job *job, git_tree **ret, const git_tree *tree, const char *name) {
        const git_tree_entry *entry = git_tree_entry_byname(tree, name);

        *ret = NULL;
        if (!entry)
                return 0;
        if (git_tree_entry_filemode(entry) != GIT_FILEMODE_TREE)
                return policy_helper_fail(name, "it is not a directory");
        return git_tree_lookup(ret, job->repository, git_tree_entry_id(entry)) < 0 ? fail_git(name) : 0;
}

static int choose_files(struct job *job) {
        _cleanup_(git_object_freep) git_object *object = NULL, *root = NULL;
        _cleanup_(git_tree_freep) git_tree *policies = NULL;
        bool any = false;
        int r;

        if (git_object_lookup(&object, job->repository, &job->id, GIT_OBJECT_ANY) < 0 ||
                        git_object_peel(&root, object, GIT_OBJECT_TREE) < 0)
                return fail_git(job->id_text);
        r = open_below(job, &policies, (const git_tree *) root, POLICIES_PATH);
        for (size_t i = 0; r == 0 && policies && i < job->n_names; i++) {
                _cleanup_(git_tree_freep) git_tree *directory = NULL;

                r = open_below(job, &directory, policies, job->names[i]);
                if (r == 0 && directory)
                        r = choose_file(job, i, directory);
                any = any || job->found[i];
        }
        return r == 0 && !any ? policy_helper_fail(job->id_text,
                                                "there are none of the policies below " POLICIES_PATH)
                              : r;
}

/* ---- into the admin's directory ---- */

static bool is_same(const char *path, const git_oid *blob) {
        git_oid id;

        return git_odb_hashfile(&id, path, GIT_OBJECT_BLOB) >= 0 && git_oid_equal(&id, blob);
}

static int install_one(const struct job *job, size_t i, bool *ret_changed) {
        _cleanup_(git_blob_freep) git_blob *blob = NULL;
        _cleanup_(freep) char *directory = NULL, *path = NULL;
        int r;

        directory = text_printf("%s/%s", job->directory, job->names[i]);
        path = directory ? text_printf("%s/policy.bin", directory) : NULL;
        if (!path)
                return policy_helper_fail(job->names[i], "out of memory");
        if (is_same(path, &job->blobs[i]))
                return 0;
        if (git_blob_lookup(&blob, job->repository, &job->blobs[i]) < 0)
                return fail_git(job->names[i]);
        if (mkdir(directory, 0700) < 0 && errno != EEXIST)
                return policy_helper_fail(directory, strerror(errno));
        r = file_write_atomic(
                        AT_FDCWD, path, git_blob_rawcontent(blob), (size_t) git_blob_rawsize(blob), 0600);
        if (r < 0)
                return policy_helper_fail(path, strerror(-r));
        *ret_changed = true;
        return 0;
}

static int install(const struct job *job, const char *state) {
        bool changed = false;
        int r;

        for (size_t i = 0; i < job->n_names; i++) {
                r = job->found[i] ? install_one(job, i, &changed) : 0;
                if (r != 0)
                        return r;
        }
        r = file_write_atomic(AT_FDCWD, job->state_path, state, strlen(state), 0600);
        if (r < 0)
                return policy_helper_fail(job->state_path, strerror(-r));
        if (!changed)
                return POLICY_FETCH_SAME;
        fprintf(stderr, "commit %s\n", job->id_text);
        return POLICY_FETCH_CHANGED;
}

/* ---- all of it ---- */

static int fetch(struct job *job) {
        _cleanup_(freep) char *state = NULL;
        int r;

        r = ask(job);
        if (r != 0)
                return r;
        state = describe_state(job);
        if (!state)
                return policy_helper_fail(job->ref, "out of memory");
        if (is_known(job, state))
                return POLICY_FETCH_SAME;
        r = download(job);
        r = r == 0 ? choose_files(job) : r;
        return r == 0 ? install(job, state) : r;
}

/* No configuration of the system's or of a user's, which may name other servers and programs. */
static int set_up(void) {
        static const git_config_level_t levels[] = { GIT_CONFIG_LEVEL_PROGRAMDATA, GIT_CONFIG_LEVEL_SYSTEM,
                GIT_CONFIG_LEVEL_XDG, GIT_CONFIG_LEVEL_GLOBAL };

        for (size_t i = 0; i < ELEMENTSOF(levels); i++)
                if (git_libgit2_opts(GIT_OPT_SET_SEARCH_PATH, levels[i], "") < 0)
                        return fail_git("libgit2");
        if (git_libgit2_opts(GIT_OPT_SET_USER_AGENT, "givc") < 0 ||
                        git_libgit2_opts(GIT_OPT_SET_PACK_MAX_OBJECTS, (size_t) OBJECTS_MAX) < 0)
                return fail_git("libgit2");
        return 0;
}

static int run(struct job *job) {
        int r, q;

        job->repository_path = text_printf("%s/" REPOSITORY, job->directory);
        job->state_path = text_printf("%s/" COMMIT, job->directory);
        if (!job->repository_path || !job->state_path)
                return policy_helper_fail(job->directory, "out of memory");
        if (git_libgit2_init() < 0)
                return fail_git("libgit2");
        r = set_up();
        r = r == 0 ? remove_repository(job) : r;
        r = r == 0 ? fetch(job) : r;
        git_repository_free(job->repository);
        git_libgit2_shutdown();
        q = remove_repository(job);
        return r == EXIT_FAILURE || q == 0 ? r : q;
}

int main(int argc, char **argv) {
        struct job job = {};
        int r;

        job.url = getenv(POLICY_FETCH_URL);
        if (!job.url || argc < 4 || argc > 3 + POLICIES_MAX)
                return policy_helper_fail("givc-policy-git", "a URL, a ref, a directory and names expected");
        r = policy_helper_confine(argv[2]);
        if (r < 0)
                return policy_helper_fail("Cannot let go of rights", strerror(-r));
        job.ref = argv[1];
        job.directory = argv[2];
        job.names = argv + 3;
        job.n_names = (size_t) argc - 3;
        r = run(&job);
        free(job.repository_path);
        free(job.state_path);
        return r;
}
