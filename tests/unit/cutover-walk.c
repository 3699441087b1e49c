/* SPDX-License-Identifier: MIT */
#include "cutover-walk.h"

#include <stdio.h>

typedef struct Node {
        World world;
        uint32_t parent;
        uint8_t event; /* that led here from the parent, as in Edge */
        bool landed;   /* the record is on disk */
} Node;

typedef struct Edge {
        uint32_t from;
        uint32_t to;
        uint8_t event;  /* CUTOVER_EVENT_MAX: the actions were begun */
        bool by_itself; /* without a wish, a crash or a bad disk */
        bool by_cloud;  /* and without an answer of the local server */
} Edge;

typedef struct Walk {
        const CutoverTable *table;
        const CutoverRow *row_of[CUTOVER_STATE_MAX][CUTOVER_EVENT_MAX];
        Node *nodes;
        size_t n_nodes, n_nodes_allocated;
        uint32_t *slots; /* hash table of node numbers + 1 */
        size_t n_slots;  /* a power of two, at least twice n_nodes */
        Edge *edges;
        size_t n_edges, n_edges_allocated;
        size_t broken_edge; /* the move that broke the law; SIZE_MAX: none did */
        Judge judge;
        CutoverWalk result;
} Walk;

static void *grow(void *array, size_t *n_allocated, size_t size)
{
        *n_allocated = MAX(*n_allocated * 2, 4096u);
        array = reallocarray(array, *n_allocated, size);
        if (!array)
                abort();
        return array;
}

static size_t hash(const World *w)
{
        const uint8_t *bytes = (const uint8_t *) w;
        uint64_t h = UINT64_C(14695981039346656037); /* FNV-1a */

        for (size_t i = 0; i < sizeof(*w); i++)
                h = (h ^ bytes[i]) * UINT64_C(1099511628211);
        return h ^ (h >> 32);
}

static uint32_t *find_slot(Walk *k, const World *w)
{
        size_t i = hash(w) & (k->n_slots - 1);

        while (k->slots[i] && memcmp(&k->nodes[k->slots[i] - 1].world, w, sizeof(*w)) != 0)
                i = (i + 1) & (k->n_slots - 1);
        return &k->slots[i];
}

static void grow_slots(Walk *k)
{
        k->n_slots = MAX(k->n_slots * 2, 8192u);
        free(k->slots);
        k->slots = calloc(k->n_slots, sizeof(*k->slots));
        if (!k->slots)
                abort();
        for (size_t i = 0; i < k->n_nodes; i++)
                *find_slot(k, &k->nodes[i].world) = i + 1;
}

static uint32_t add_node(Walk *k, const World *w, uint32_t parent, uint8_t event, bool landed)
{
        uint32_t *slot;

        if (k->n_nodes * 2 >= k->n_slots)
                grow_slots(k);
        slot = find_slot(k, w);
        if (*slot)
                return *slot - 1;

        if (k->n_nodes == k->n_nodes_allocated)
                k->nodes = grow(k->nodes, &k->n_nodes_allocated, sizeof(*k->nodes));
        k->nodes[k->n_nodes] = (Node){ *w, parent, event, landed };
        *slot = ++k->n_nodes;
        return *slot - 1;
}

static void move(Walk *k, uint32_t from, const World *w, uint8_t event, bool landed)
{
        /* To be called off is no way to arrive. */
        bool by_itself = event > CUTOVER_WRITE_FAILED && event != CUTOVER_CALLED_OFF && landed;
        bool by_cloud = by_itself && (event == CUTOVER_EVENT_MAX ||
                                      !(world_results_of_local(&k->nodes[from].world) & EVENT_BIT(event)));

        if (k->judge.law != LAW_NONE && k->broken_edge == SIZE_MAX)
                k->broken_edge = k->n_edges;
        if (k->n_edges == k->n_edges_allocated)
                k->edges = grow(k->edges, &k->n_edges_allocated, sizeof(*k->edges));
        k->edges[k->n_edges++] = (Edge){ from, add_node(k, w, from, event, landed), event, by_itself, by_cloud };
}

static void move_event(Walk *k, uint32_t from, World w, CutoverEvent event)
{
        uint8_t state = event == CUTOVER_RESTARTED ? w.disk.state : w.memory.state;
        const CutoverRow *row = k->row_of[state][event];

        if (!row) {
                if (event > CUTOVER_CANCEL_REQUESTED) {
                        judge_broken(&k->judge, LAW_ARRIVES, "nothing is said about what happens now");
                        move(k, from, &w, event, true);
                }
                return;
        }
        k->result.taken[row - k->table->rows] = true;
        world_step(&k->judge, &w, row);
        /* The old record may stay on the disk, whether or not that is noticed. */
        if (w.writes) {
                if (!world_on_disk(&w))
                        move(k, from, &w, event, false);
                w.disk = w.memory;
        }
        move(k, from, &w, event, true);
}

static void move_wishes(Walk *k, uint32_t from, const World *w)
{
        for (int server = 0; server < SERVER_MAX; server++) {
                World asked = *w;

                if (w->memory.state == CUTOVER_SETTLED && world_ask(&asked, server))
                        move_event(k, from, asked, CUTOVER_SWITCH_REQUESTED);
        }
        move_event(k, from, *w, CUTOVER_PROCEED_REQUESTED);
        move_event(k, from, *w, CUTOVER_CANCEL_REQUESTED);
}

static void move_begin(Walk *k, uint32_t from)
{
        World w = k->nodes[from].world;

        world_begin(&k->judge, &w);
        move(k, from, &w, CUTOVER_EVENT_MAX, true);
}

static void expand(Walk *k, uint32_t i)
{
        World w = k->nodes[i].world;
        bool waits = world_waits_for_disk(&k->judge, &w);
        uint64_t results = world_results(&w);

        move_event(k, i, w, CUTOVER_RESTARTED);
        if (w.begun || waits) /* wishes come while the record is being written, too */
                move_wishes(k, i, &w);
        if (!w.begun) {
                if (waits)
                        move_event(k, i, w, CUTOVER_WRITE_FAILED);
                if (!waits || world_on_disk(&w))
                        move_begin(k, i);
                return;
        }
        for (CutoverEvent e = 0; e < CUTOVER_EVENT_MAX; e++)
                if (results & EVENT_BIT(e))
                        move_event(k, i, w, e);
}

static bool is_arrived(const World *w, bool without_local)
{
        /* A job that waits for the dead server is in nobody's way: the bot works, and the job can be cancelled. */
        return w->begun && (w->memory.state == CUTOVER_SETTLED || (without_local && w->memory.state == CUTOVER_QUEUED));
}

/* L5 for the world as a whole: from wherever it is, answers and timers alone can lead to a settled seat; where
 * `without_local`, without an answer of the local server, too. */
static void check_arrival(Walk *k, bool without_local, const char *what)
{
        _cleanup_free_ bool *arrives = calloc(k->n_nodes, sizeof(bool));
        bool progress = true;

        if (!arrives)
                abort();
        for (size_t i = 0; i < k->n_nodes; i++)
                arrives[i] = is_arrived(&k->nodes[i].world, without_local);
        while (progress) {
                progress = false;
                for (size_t i = k->n_edges; i-- > 0;) {
                        const Edge *e = &k->edges[i];

                        if ((without_local ? e->by_cloud : e->by_itself) && arrives[e->to] && !arrives[e->from])
                                arrives[e->from] = progress = true;
                }
        }
        for (size_t i = 0; i < k->n_nodes; i++) {
                const World *w = &k->nodes[i].world;

                /* A record that did not get to the disk ends in a failed write or a restart. */
                if (arrives[i] || (!w->begun && !world_on_disk(w)))
                        continue;
                judge_broken(&k->judge, LAW_ARRIVES, what);
                move(k, i, w, CUTOVER_EVENT_MAX, true);
                return;
        }
}

static uint64_t count_sequences(const Walk *k)
{
        _cleanup_free_ uint64_t *now = calloc(k->n_nodes, sizeof(uint64_t));
        uint64_t total = 0;

        if (!now)
                abort();
        now[0] = 1;
        for (unsigned depth = 0; depth < MODEL_DEPTH; depth++) {
                _cleanup_free_ uint64_t *next = calloc(k->n_nodes, sizeof(uint64_t));

                if (!next)
                        abort();
                for (size_t i = 0; i < k->n_edges; i++)
                        if (k->edges[i].event == CUTOVER_EVENT_MAX)
                                now[k->edges[i].to] += now[k->edges[i].from];
                for (size_t i = 0; i < k->n_edges; i++)
                        if (k->edges[i].event != CUTOVER_EVENT_MAX) {
                                next[k->edges[i].to] += now[k->edges[i].from];
                                total += now[k->edges[i].from];
                        }
                free(now);
                now = TAKE_PTR(next);
        }
        return total;
}

static void print_path(const Walk *k, FILE *f, uint32_t i)
{
        const Node *n = &k->nodes[i];

        if (i != n->parent)
                print_path(k, f, n->parent);
        if (i == 0)
                fprintf(f, "%s", cutover_state_to_string(n->world.memory.state));
        else if (n->event != CUTOVER_EVENT_MAX)
                fprintf(f, " -(%s)-> %s%s", cutover_event_to_string(n->event),
                        cutover_state_to_string(n->world.memory.state), n->landed ? "" : " [not on disk]");
}

static char *describe_path(const Walk *k)
{
        const Edge *last = &k->edges[k->broken_edge];
        char *text = NULL;
        size_t size;
        FILE *f = open_memstream(&text, &size);

        if (!f)
                abort();
        print_path(k, f, last->from);
        if (last->event != CUTOVER_EVENT_MAX)
                fprintf(f, " -(%s)-> %s", cutover_event_to_string(last->event),
                        cutover_state_to_string(k->nodes[last->to].world.memory.state));
        if (fclose(f) != 0)
                abort();
        return text;
}

void cutover_walk(const CutoverTable *table, CutoverWalk *ret)
{
        Walk k = { .table = table, .broken_edge = SIZE_MAX, .judge = { .facts = table->facts } };
        World start;

        world_init(&start);
        k.result.taken = calloc(table->n_rows, sizeof(bool));
        if (!k.result.taken)
                abort();
        for (size_t i = 0; i < table->n_rows; i++)
                k.row_of[table->rows[i].from][table->rows[i].event] = &table->rows[i];

        add_node(&k, &start, 0, CUTOVER_EVENT_MAX, true);
        for (size_t i = 0; i < k.n_nodes && k.judge.law == LAW_NONE; i++)
                expand(&k, i);
        if (k.judge.law == LAW_NONE)
                check_arrival(&k, false, "no settled seat can be reached any more");
        if (k.judge.law == LAW_NONE)
                check_arrival(&k, true, "a dead server is waited for");
        if (k.judge.law == LAW_NONE)
                k.result.n_sequences = count_sequences(&k);
        else
                k.result.path = describe_path(&k);

        k.result.law = k.judge.law;
        k.result.what = k.judge.what;
        k.result.n_configurations = k.n_nodes;
        k.result.n_moves = k.n_edges;
        free(k.nodes);
        free(k.slots);
        free(k.edges);
        *ret = k.result;
}

void cutover_walk_done(CutoverWalk *walk)
{
        free(walk->path);
        free(walk->taken);
        *walk = (CutoverWalk){};
}
