Feature: What may be asked for is the operator's choice

  Scenario: An address that is not signed is refused
    Given a service with keys
    And an origin with a picture of 640x480
    When I ask for fill 300x200
    Then I get the problem 403 bad_signature
    And the origin was not asked

  Scenario Outline: An address that is signed is answered, by the key of today or of yesterday
    Given a service with keys
    And an origin with a picture of 640x480
    When I ask for fill 300x200, signed with the <key> key
    Then I get a picture of 300x200

    Examples:
      | key |
      | new |
      | old |

  Scenario: An address that is signed with another key is refused
    Given a service with keys
    And an origin with a picture of 640x480
    When I ask for fill 300x200, signed with the wrong key
    Then I get the problem 403 bad_signature

  Scenario: An address may expire
    Given a service with keys
    And an origin with a picture of 640x480
    When I ask for fill 300x200, signed until an hour from now
    Then I get a picture of 300x200
    When I ask for fill 300x200, signed until a second ago
    Then I get the problem 403 bad_signature
    When I ask for fill 300x200, signed with the new key
    Then I get a picture of 300x200
    And the preview comes from the cache

  Scenario Outline: Sizes may be a list
    Given a service with the sizes 300x200,64x64
    And an origin with a picture of 640x480
    When I ask for fill <size>
    Then I get <answer>

    Examples:
      | size    | answer                            |
      | 300x200 | a picture of 300x200              |
      | 64x64   | a picture of 64x64                |
      | 300x201 | the problem 403 preview_forbidden |
