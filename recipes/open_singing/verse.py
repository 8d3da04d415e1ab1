"""English verse in the public domain, first printed before 1900, for melodies that are made up. Hyphens part syllables."""


def lines(text: str) -> tuple[str, ...]:
    """The lines of a poem."""
    return tuple(filter(None, map(str.strip, text.splitlines())))


POEMS = {
    # William Blake, Songs of Experience, 1794
    "the_tyger": lines("""
        Ty-ger, ty-ger, burn-ing bright
        In the for-ests of the night,
        What im-mor-tal hand or eye
        Could frame thy fear-ful sym-me-try?
        In what dis-tant deeps or skies
        Burnt the fire of thine eyes?
        On what wings dare he a-spire?
        What the hand dare seize the fire?
        And what shoul-der and what art
        Could twist the sin-ews of thy heart?
        And when thy heart be-gan to beat,
        What dread hand and what dread feet?
    """),
    # William Blake, Songs of Innocence, 1789
    "the_lamb": lines("""
        Lit-tle lamb, who made thee?
        Dost thou know who made thee,
        Gave thee life, and bid thee feed
        By the stream and o'er the mead;
        Gave thee cloth-ing of de-light,
        Soft-est cloth-ing, wool-ly, bright;
        Gave thee such a ten-der voice,
        Ma-king all the vales re-joice?
    """),
    # William Wordsworth 1807
    "daffodils": lines("""
        I wan-dered lone-ly as a cloud
        That floats on high o'er vales and hills,
        When all at once I saw a crowd,
        A host of gol-den daf-fo-dils,
        Be-side the lake, be-neath the trees,
        Flut-ter-ing, dan-cing in the breeze.
        Con-tin-u-ous as the stars that shine
        And twin-kle on the mil-ky way,
        They stretched in ne-ver end-ing line
        A-long the mar-gin of a bay:
        Ten thou-sand saw I at a glance,
        Toss-ing their heads in spright-ly dance.
    """),
    # Christina Rossetti, Sing-Song, 1872
    "who_has_seen_the_wind": lines("""
        Who has seen the wind?
        Nei-ther I nor you:
        But when the leaves hang tremb-ling,
        The wind is pass-ing through.
        Nei-ther you nor I:
        But when the trees bow down their heads,
        The wind is pass-ing by.
    """),
    # Christina Rossetti 1862
    "when_i_am_dead": lines("""
        When I am dead, my dear-est,
        Sing no sad songs for me;
        Plant thou no ro-ses at my head,
        Nor sha-dy cy-press tree:
        Be the green grass a-bove me
        With show-ers and dew-drops wet;
        And if thou wilt, re-mem-ber,
        And if thou wilt, for-get.
    """),
    # Robert Louis Stevenson, A Child's Garden of Verses, 1885
    "the_swing": lines("""
        How do you like to go up in a swing,
        Up in the air so blue?
        Oh, I do think it the plea-san-test thing
        Ev-er a child can do!
        Up in the air and o-ver the wall,
        Till I can see so wide,
        Ri-vers and trees and cat-tle and all
        O-ver the coun-try-side.
    """),
    # Robert Louis Stevenson, A Child's Garden of Verses, 1885
    "bed_in_summer": lines("""
        In win-ter I get up at night
        And dress by yel-low can-dle light.
        In sum-mer, quite the o-ther way,
        I have to go to bed by day.
        I have to go to bed and see
        The birds still hop-ping on the tree,
        Or hear the grown up peo-ple's feet
        Still go-ing past me in the street.
    """),
    # Robert Louis Stevenson, A Child's Garden of Verses, 1885
    "my_shadow": lines("""
        I have a lit-tle sha-dow that goes in and out with me,
        And what can be the use of him is more than I can see.
        He is ve-ry, ve-ry like me from the heels up to the head;
        And I see him jump be-fore me, when I jump in-to my bed.
    """),
    # William Shakespeare 1609
    "sonnet_18": lines("""
        Shall I com-pare thee to a sum-mer's day?
        Thou art more love-ly and more tem-per-ate:
        Rough winds do shake the dar-ling buds of May,
        And sum-mer's lease hath all too short a date;
        Some-time too hot the eye of hea-ven shines,
        And of-ten is his gold com-plex-ion dimmed;
        But thy e-ter-nal sum-mer shall not fade,
        Nor lose pos-ses-sion of that fair thou own;
        So long as men can breathe, or eyes can see,
        So long lives this, and this gives life to thee.
    """),
    # Samuel Taylor Coleridge 1816
    "kubla_khan": lines("""
        In Xa-na-du did Ku-bla Khan
        A state-ly plea-sure dome de-cree:
        Where Alph, the sa-cred ri-ver, ran
        Through ca-verns mea-sure-less to man
        Down to a sun-less sea.
    """),
    # Christopher Marlowe 1599
    "come_live_with_me": lines("""
        Come live with me and be my love,
        And we will all the plea-sures prove
        That val-leys, groves, and hills, and fields,
        Woods, or stee-py moun-tain yields.
    """),
    # Alfred Tennyson 1889
    "crossing_the_bar": lines("""
        Sun-set and eve-ning star,
        And one clear call for me!
        And may there be no moan-ing of the bar,
        When I put out to sea.
        Twi-light and eve-ning bell,
        And af-ter that the dark!
        And may there be no sad-ness of fare-well,
        When I em-bark.
    """),
    # Alfred Tennyson 1842
    "break_break_break": lines("""
        Break, break, break,
        On thy cold gray stones, O sea!
        And I would that my tongue could ut-ter
        The thoughts that a-rise in me.
        O well for the fish-er-man's boy,
        That he shouts with his sis-ter at play!
        O well for the sail-or lad,
        That he sings in his boat on the bay!
    """),
    # Robert Burns 1794
    "a_red_red_rose": lines("""
        O my love is like a red, red rose
        That's new-ly sprung in June;
        O my love is like the mel-o-dy
        That's sweet-ly played in tune.
        So fair art thou, my bon-ny lass,
        So deep in love am I;
        And I will love thee still, my dear,
        Till all the seas gang dry.
    """),
    # George Gordon Byron 1815
    "she_walks_in_beauty": lines("""
        She walks in beau-ty, like the night
        Of cloud-less climes and star-ry skies;
        And all that's best of dark and bright
        Meet in her as-pect and her eyes:
        One shade the more, one ray the less,
        Had half im-paired the name-less grace
        Which waves in ev-ery ra-ven tress,
        Or soft-ly light-ens o'er her face.
    """),
    # Henry Wadsworth Longfellow 1838
    "a_psalm_of_life": lines("""
        Tell me not, in mourn-ful num-bers,
        Life is but an emp-ty dream!
        For the soul is dead that slum-bers,
        And things are not what they seem.
        Lives of great men all re-mind us
        We can make our lives sub-lime,
        And, de-part-ing, leave be-hind us
        Foot-prints on the sands of time.
    """),
    # Edward Lear 1871
    "the_owl_and_the_pussycat": lines("""
        The owl and the pus-sy-cat went to sea
        In a beau-ti-ful pea green boat,
        They took some ho-ney, and plen-ty of mo-ney,
        Wrapped up in a five pound note.
        The owl looked up to the stars a-bove,
        And sang to a small gui-tar.
        And there in a wood a pig-gy wig stood
        With a ring at the end of his nose.
    """),
    # Edgar Allan Poe 1849
    "annabel_lee": lines("""
        It was ma-ny and ma-ny a year a-go,
        In a king-dom by the sea,
        That a mai-den there lived whom you may know
        By the name of An-na-bel Lee;
        And this mai-den she lived with no o-ther thought
        Than to love and be loved by me.
    """),
    # Robert Herrick 1648
    "to_the_virgins": lines("""
        Ga-ther ye rose-buds while ye may,
        Old time is still a fly-ing;
        And this same flow-er that smiles to-day
        To-mor-row will be dy-ing.
        The glo-rious lamp of hea-ven, the sun,
        The high-er he's a get-ting,
        The soon-er will his race be run,
        And near-er he's to set-ting.
    """),
    # Emily Dickinson, Poems, second series, 1891
    "hope": lines("""
        Hope is the thing with fea-thers
        That per-ches in the soul,
        And sings the tune with-out the words,
        And ne-ver stops at all,
        And sweet-est in the gale is heard;
        And sore must be the storm
        That could a-bash the lit-tle bird
        That kept so ma-ny warm.
    """),
    # In English by the sixteenth century
    "thirty_days": lines("""
        Thir-ty days hath Sep-tem-ber,
        A-pril, June, and No-vem-ber;
        All the rest have thir-ty one,
        Ex-cept for Feb-ru-a-ry.
    """),
}
